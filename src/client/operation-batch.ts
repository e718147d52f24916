import { Code, ConnectError } from "@connectrpc/connect";
import { callWithin } from "../internal/call-within.js";
import { parseOperationName } from "../operation/name.js";
import type { Operation } from "../protos.js";
import { standardDetailsOf } from "../status/standard-details.js";
import { walkPages } from "./operation-list.js";
import type { PollPolicy } from "./poll-policy.js";
import { retryHintMs } from "./retry-hint.js";
import type { ClientCore } from "./tracked-operation.js";

/** One operation among those that are looked at together. */
export interface BatchMember {
  readonly name: string;
  /** Whether it still has to be looked at. */
  isOpen(): boolean;
  /** Whether the server may not know it yet. */
  mayLag(): boolean;
  /** A look showed this. */
  see(operation: Operation): void;
  /** A look failed. Whether that is the end for this member is its own decision. */
  fail(error: ConnectError): void;
}

/** The operations of one client, looked at in rounds. */
export interface OperationBatch {
  /**
   * Look once at every member that is open: by lists of their parents as far as that
   * is worth it, at the rest one by one.
   *
   * @returns How long the server asks to be left alone, in milliseconds, if it does.
   * @throws ConnectError `Code.Canceled` as soon as `signal` aborts; what the policy throws.
   */
  look(signal: AbortSignal): Promise<number | undefined>;
}

/** How many requests are under way at once. */
const mostAtOnce = 10;

/** Asked for in one page; a server may send fewer (AIP-158). */
const pageSize = 1000;

/**
 * What a list costs: a page is a request, and so are this many operations on its pages,
 * since the server has to read and send them whether or not they are followed.
 */
const operationsPerRequest = 100;

/** How many rounds a parent whose list was dearer than single looks goes without it. */
const roundsWithoutList = 10;

/** After this many lists that failed in a row, a round is made by single looks. */
const mostFailedLists = 3;

/** After this many single looks that failed in a row, a round leaves the server alone. */
const mostFailedGets = 10;

/** Clients whose server has said that it does not have ListOperations. */
const withoutList = new WeakSet<ClientCore>();

/** The members under one parent. */
interface Parent {
  readonly members: BatchMember[];
  /**
   * The names that a list of it may go by, which depends on the service: the likeliest
   * first. None where it cannot be listed.
   */
  listNames: string[];
  /** The first round that may list it again. */
  listAgainAt: number;
  /** How many lists have failed in a row. */
  failedLists: number;
}

/**
 * @param filter Of the lists; empty for none.
 * @param policy Says which failures may pass.
 */
export function createOperationBatch(
  core: ClientCore,
  members: readonly BatchMember[],
  filter: string,
  policy: PollPolicy,
): OperationBatch {
  const { calls, settings } = core;
  const { clock, rpc } = calls;
  const { pollTimeoutMs } = settings;
  const parents = parentsOf(members);
  /** The round in which each member was last looked at one by one. */
  const triedAt = new Map<BatchMember, number>();
  let round = 0;
  let hintMs: number | undefined;

  /** What a call failed with, its hint noted; throws where it did not fail but was cut off. */
  const failureOf = (thrown: unknown, signal: AbortSignal): ConnectError => {
    const error = ConnectError.from(thrown);
    if (signal.aborted) throw error;
    const askedMs = retryHintMs(error, clock.nowMs());
    if (askedMs !== undefined) hintMs = Math.max(hintMs ?? 0, askedMs);
    return error;
  };

  /** List a parent until its members were seen; gives those to be looked at one by one. */
  const list = async (parent: Parent, signal: AbortSignal): Promise<BatchMember[]> => {
    const unseen = new Set(parent.members.filter((member) => member.isOpen()));
    const followed = unseen.size;
    const [name] = parent.listNames;
    const mayList = name !== undefined && round >= parent.listAgainAt && !withoutList.has(core);
    // To look at a single one is no dearer than a list, and says more.
    if (!mayList || followed < 2) return [...unseen];
    const pages = walkPages({ name, filter, pageSize }, (page) =>
      callWithin(clock, pollTimeoutMs, signal, (own) =>
        rpc.listOperations(page, { signal: own, timeoutMs: pollTimeoutMs }),
      ),
    );
    let cost = 0;
    try {
      for await (const { operations } of pages) {
        const shown = new Map(operations.map((operation) => [operation.name, operation]));
        for (const member of unseen) {
          const operation = shown.get(member.name);
          if (operation === undefined || !isWhole(operation)) continue;
          unseen.delete(member);
          member.see(operation);
        }
        cost += 1 + operations.length / operationsPerRequest;
        if (unseen.size === 0 || cost >= followed) break;
      }
    } catch (thrown) {
      return listFailed(parent, [...unseen], failureOf(thrown, signal), signal);
    }
    parent.failedLists = 0;
    // What was started a moment ago may be missing from this list and not from the next one.
    const isSettled = ![...unseen].some((member) => member.mayLag());
    if (isSettled && cost > followed - unseen.size) {
      parent.listAgainAt = round + 1 + roundsWithoutList;
    }
    return [...unseen];
  };

  /** Draw the consequences; gives the members to be looked at one by one in this round. */
  const listFailed = async (
    parent: Parent,
    unseen: BatchMember[],
    error: ConnectError,
    signal: AbortSignal,
  ): Promise<BatchMember[]> => {
    const { code } = error;
    if (code === Code.Unimplemented) {
      withoutList.add(core);
      return unseen;
    }
    if (policy.isTransient(error) && !isEndless(error)) {
      parent.failedLists += 1;
      if (parent.failedLists >= mostFailedLists) {
        parent.failedLists = 0;
        parent.listAgainAt = round + 2;
      }
      for (const member of unseen) member.fail(error);
      return [];
    }
    const isOfName = code === Code.InvalidArgument || code === Code.NotFound;
    parent.listNames = isOfName ? parent.listNames.slice(1) : [];
    if (parent.listNames.length > 0) return list(parent, signal);
    if (code !== Code.InvalidArgument || filter === "") return unseen;
    // To go on without the caller's filter would cost many times what was asked for.
    for (const member of unseen) member.fail(error);
    return [];
  };

  /** Look at members one by one, those first for which it is longest ago. */
  const get = async (unseen: readonly BatchMember[], signal: AbortSignal) => {
    const lastTry = (member: BatchMember) => triedAt.get(member) ?? 0;
    const order = [...unseen].sort((one, other) => lastTry(one) - lastTry(other));
    const skipped: BatchMember[] = [];
    let hasAnswered = false;
    let failedInARow = 0;
    let stoppedBy: ConnectError | undefined;
    await eachOf(order, async (member) => {
      if (stoppedBy !== undefined) {
        skipped.push(member);
        return;
      }
      let operation: Operation;
      try {
        operation = await calls.get(member.name, signal);
      } catch (thrown) {
        const error = failureOf(thrown, signal);
        const mayPass = error.code !== Code.NotFound && policy.isTransient(error);
        hasAnswered ||= !mayPass;
        failedInARow = mayPass ? failedInARow + 1 : 0;
        const isBusy = mayPass && hintMs !== undefined;
        // One that a busy server turned away comes first in the next round.
        if (!isBusy) triedAt.set(member, round);
        if (isBusy || failedInARow >= mostFailedGets) stoppedBy = error;
        member.fail(error);
        return;
      }
      triedAt.set(member, round);
      hasAnswered = true;
      failedInARow = 0;
      member.see(operation);
    });
    // Where others came through, those that were left out have not failed.
    if (stoppedBy === undefined || hasAnswered) return;
    for (const member of skipped) member.fail(stoppedBy);
  };

  return {
    async look(signal) {
      round += 1;
      hintMs = undefined;
      const unseen: BatchMember[] = [];
      await eachOf(parents, async (parent) => {
        unseen.push(...(await list(parent, signal)));
      });
      await get(unseen, signal);
      return hintMs;
    },
  };
}

function parentsOf(members: readonly BatchMember[]): Parent[] {
  const parents = new Map<string | undefined, Parent>();
  for (const member of members) {
    const name = parseOperationName(member.name)?.parent;
    const parent = parents.get(name);
    if (parent !== undefined) parent.members.push(member);
    else {
      const listNames = listNamesOf(name);
      parents.set(name, { members: [member], listNames, listAgainAt: 0, failedLists: 0 });
    }
  }
  return [...parents.values()];
}

function listNamesOf(parent: string | undefined): string[] {
  if (parent === undefined) return [];
  return parent === "" ? ["operations", ""] : [parent, `${parent}/operations`];
}

/** Whether a list may be believed: some servers leave the result out of it. */
function isWhole({ done, result }: Operation): boolean {
  return !done || result.case !== undefined;
}

/** Whether it is our own error for a list that goes round in a circle. */
function isEndless(error: ConnectError): boolean {
  return standardDetailsOf(error).errorInfo?.reason === "REPEATED_PAGE_TOKEN";
}

/** Do the work for each item, a few of them at once. */
async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  // All workers take from this one iterator.
  const left = items.values();
  const worker = async () => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(mostAtOnce, items.length) }, worker));
}
