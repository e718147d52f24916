import { Code, ConnectError } from "@connectrpc/connect";
import { callWithin } from "../internal/call-within.js";
import { parseOperationName } from "../operation/name.js";
import type { Operation } from "../protos.js";
import { standardDetailsOf } from "../status/standard-details.js";
import { repeatedTokenReason } from "./errors.js";
import type { Polled } from "./operation-calls.js";
import { walkPages } from "./operation-list.js";
import type { PollPolicy } from "./poll-policy.js";
import { retryAfterMs, retryDelayMs } from "./retry-delay.js";
import type { ClientCore } from "./tracked-operation.js";
import { isUnreadableHere } from "./unreadable-responses.js";

/** One operation of a batch. */
export interface BatchMember {
  readonly name: string;
  /** The server asked for no poll before this monotonic time, in milliseconds. */
  readonly notBeforeMs: number;
  /** Whether the operation still has to be polled. */
  isOpen(): boolean;
  /** Whether NOT_FOUND may come from a replica that does not have the operation yet. */
  mayLag(): boolean;
  /** Called with the result of each successful poll. */
  onPolled(operation: Operation): void;
  /** Called when a poll failed. The member decides whether it stays open. */
  onFailed(error: ConnectError): void;
}

/** The operations of one client, polled in rounds. */
export interface OperationBatch {
  /**
   * Polls every open member once: by lists of their parents if that saves requests, the others
   * individually. Resolves with the delay that the server asks for, in milliseconds, 0 if none.
   *
   * @throws ConnectError CANCELLED as soon as `signal` aborts; exceptions of the policy.
   */
  poll(signal: AbortSignal): Promise<number>;
}

/** Most requests in progress at once. */
const mostAtOnce = 10;

/** The page size of the lists; a server may return fewer (AIP-158). */
const pageSize = 1000;

/**
 * The cost of a list: a page counts as one request, and so does this number of operations on its
 * pages, because the server has to read and send them whether or not they are followed.
 */
const operationsPerRequest = 100;

/** Number of rounds without a list after a list that cost more requests than single polls. */
const roundsWithoutList = 10;

/** Number of consecutive failed lists after which a round polls individually. */
const mostFailedLists = 3;

/** Number of consecutive failed single polls after which a round stops. */
const mostFailedGets = 10;

/** Clients whose server has responded to ListOperations with UNIMPLEMENTED. */
const withoutList = new WeakSet<ClientCore>();

/** The members under one parent. */
interface Parent {
  readonly members: BatchMember[];
  /**
   * The names by which a service may list the parent, the likeliest first. Empty if it cannot be
   * listed.
   */
  listNames: string[];
  /** The first round that may list the parent again. */
  listAgainAt: number;
  /** How many lists have failed in a row. */
  failedLists: number;
}

/**
 * @param filter Filter of the lists; empty for none.
 * @param policy Decides which failures are transient.
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
  /** The round in which each member was last polled individually. */
  const triedAt = new Map<BatchMember, number>();
  let round = 0;
  let leastMs = 0;

  /** Returns the error of a call, and notes its retry delay. Throws if the call was aborted. */
  const failureOf = (thrown: unknown, signal: AbortSignal): ConnectError => {
    const error = ConnectError.from(thrown);
    if (signal.aborted) throw error;
    leastMs = Math.max(leastMs, retryDelayMs(error, clock.nowMs()));
    return error;
  };
  /** Notes the `Retry-After` of a good response. */
  const onHeader = (header: Headers) => {
    leastMs = Math.max(leastMs, retryAfterMs(header, clock.nowMs()));
  };

  /** Lists a parent until the pages have shown its members. Resolves with the members to poll individually. */
  const list = async (parent: Parent, signal: AbortSignal): Promise<BatchMember[]> => {
    const unseen = new Set(parent.members.filter((member) => member.isOpen()));
    const followed = unseen.size;
    const [name] = parent.listNames;
    const mayList = name !== undefined && round >= parent.listAgainAt && !withoutList.has(core);
    // A single poll costs no more requests than a list, and its response is complete.
    if (!mayList || followed < 2) return [...unseen];
    const pages = walkPages({ name, filter, pageSize }, (page) =>
      callWithin(clock, pollTimeoutMs, signal, (own) =>
        rpc.listOperations(page, { signal: own, timeoutMs: pollTimeoutMs, onHeader }),
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
          member.onPolled(operation);
        }
        cost += 1 + operations.length / operationsPerRequest;
        if (unseen.size === 0 || cost >= followed) break;
      }
    } catch (thrown) {
      return listFailed(parent, [...unseen], failureOf(thrown, signal), signal);
    }
    parent.failedLists = 0;
    // A lagging replica's list may not have an operation that the next list has.
    const isSettled = ![...unseen].some((member) => member.mayLag());
    if (isSettled && cost > followed - unseen.size) {
      parent.listAgainAt = round + 1 + roundsWithoutList;
    }
    return [...unseen];
  };

  /** Handles a failed list. Resolves with the members to poll individually in this round. */
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
    const isFinal = isEndless(error) || isUnreadableHere(error);
    if (policy.isTransient(error) && !isFinal) {
      parent.failedLists += 1;
      if (parent.failedLists >= mostFailedLists) {
        parent.failedLists = 0;
        parent.listAgainAt = round + 2;
      }
      for (const member of unseen) member.onFailed(error);
      return [];
    }
    const isOfName = code === Code.InvalidArgument || code === Code.NotFound;
    const names = parent.listNames;
    parent.listNames = isOfName ? names.slice(1) : [];
    if (parent.listNames.length > 0) return list(parent, signal);
    if (code !== Code.InvalidArgument || filter === "") return unseen;
    // Each member decides by `onFailed` how often the server may refuse the filter.
    parent.listNames = names;
    // Polling each member would cost many times the requests.
    for (const member of unseen) member.onFailed(error);
    return [];
  };

  /** Polls members individually, those first whose last poll is the oldest. */
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
      let polled: Polled;
      try {
        polled = await calls.get(member.name, signal);
      } catch (thrown) {
        const error = failureOf(thrown, signal);
        const mayPass = error.code !== Code.NotFound && policy.isTransient(error);
        hasAnswered ||= !mayPass;
        failedInARow = mayPass ? failedInARow + 1 : 0;
        const isBusy = mayPass && leastMs > 0;
        // If a busy server refused a member's poll, that member comes first in the next round.
        if (!isBusy) triedAt.set(member, round);
        if (isBusy || failedInARow >= mostFailedGets) stoppedBy = error;
        member.onFailed(error);
        return;
      }
      triedAt.set(member, round);
      hasAnswered = true;
      failedInARow = 0;
      leastMs = Math.max(leastMs, polled.retryAfterMs);
      member.onPolled(polled.operation);
    });
    // The skipped members have not failed if other members got a response.
    if (stoppedBy === undefined || hasAnswered) return;
    for (const member of skipped) member.onFailed(stoppedBy);
  };

  return {
    async poll(signal) {
      round += 1;
      leastMs = 0;
      const unseen: BatchMember[] = [];
      await eachOf(parents, async (parent) => {
        unseen.push(...(await list(parent, signal)));
      });
      await get(unseen, signal);
      return leastMs;
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

/** Whether an operation of a list is complete: some servers leave its result out. */
function isWhole({ done, result }: Operation): boolean {
  return !done || result.case !== undefined;
}

/** Whether the client itself found that the list has no end. */
function isEndless(error: ConnectError): boolean {
  return standardDetailsOf(error).errorInfo?.reason === repeatedTokenReason;
}

/** Calls `work` for each item, for at most `mostAtOnce` of them at once. */
async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  // The workers share this iterator.
  const left = items.values();
  const worker = async () => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(mostAtOnce, items.length) }, worker));
}
