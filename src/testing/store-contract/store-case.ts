import type {
  ListCursor,
  NewOperation,
  OperationRecord,
  OperationStore,
  StoredResult,
} from "../../store/operation-store.js";
import { assertThat, contractCase, present } from "../contract.js";

export const dayMs = 24 * 60 * 60 * 1000;
/** Bytes that are not a message of any type. A store must not read payloads. */
export const noMessage = Uint8Array.of(0xff, 0x00, 0xfe, 0x80);
export const response: StoredResult = { kind: "response", value: Uint8Array.of(0xff, 1) };
export const failure: StoredResult = { kind: "error", value: Uint8Array.of(0xff, 2) };
export const cancelled: StoredResult = { kind: "error", value: Uint8Array.of(0xff, 3) };
export const deadlineExceeded: StoredResult = { kind: "error", value: Uint8Array.of(0xff, 4) };

/** A parent that no other case uses: suites may share one database. */
export const newParent = () => `projects/${crypto.randomUUID()}`;

export const newResourceKey = () => `printers/${crypto.randomUUID()}`;

export function newOperation(init: Partial<NewOperation> = {}): NewOperation {
  const parent = init.parent ?? newParent();
  return {
    name: `${parent}/operations/${crypto.randomUUID()}`,
    parent,
    method: "printing.v1.PrintService/Print",
    principal: "",
    external: false,
    request: noMessage,
    metadata: undefined,
    result: undefined,
    retentionMs: 30 * dayMs,
    deadlineMs: undefined,
    resourceKey: undefined,
    requestId: undefined,
    ...init,
  };
}

export async function inserted(
  store: OperationStore,
  operation: NewOperation,
): Promise<OperationRecord> {
  const outcome = await store.insert(operation);
  if (outcome.kind !== "inserted") throw new Error(`expected an insert, but got ${outcome.kind}`);
  return outcome.record;
}

/** Inserts many operations without a resource, in as few transactions as the store offers. */
export async function insertAll(
  store: OperationStore,
  operations: readonly NewOperation[],
): Promise<void> {
  const { insertTogether } = store;
  if (insertTogether !== undefined) {
    const none = async () => undefined;
    for (let at = 0; at < operations.length; at += 1000) {
      const some = operations.slice(at, at + 1000);
      await Promise.all(some.map((operation) => insertTogether(operation, none)));
    }
    return;
  }
  await store.transaction(async (transaction) => {
    for (const operation of operations) await store.insert(operation, { transaction });
  });
}

export async function claimed(
  store: OperationStore,
  operation: NewOperation,
): Promise<OperationRecord> {
  const { name } = await inserted(store, operation);
  return present(await store.claim(name), "the claim");
}

export async function finished(
  store: OperationStore,
  operation: NewOperation,
): Promise<OperationRecord> {
  const claim = await claimed(store, operation);
  return present(await store.finish(claim, response), "the terminal write");
}

export async function namesOfWalk(
  store: OperationStore,
  parent: string,
  limit: number,
  between: () => Promise<void> = async () => undefined,
  principal?: string,
): Promise<string[]> {
  const names: string[] = [];
  let after: Parameters<OperationStore["list"]>[0]["after"];
  do {
    const page = await store.list({
      parent,
      principal,
      filter: undefined,
      after,
      limit,
    });
    assertThat(page.records.length <= limit, `a page has at most ${limit} records`);
    names.push(...page.records.map((record) => record.name));
    after = page.next;
    await between();
  } while (after !== undefined);
  return names;
}

/**
 * Returns the names of operations with unfinished work among these, in the order of the store. The
 * walk begins at the oldest visible one of them, because a store may have many older operations.
 */
export async function unfinishedAmong(
  store: OperationStore,
  names: readonly string[],
  limit: number,
  between: () => Promise<void> = async () => undefined,
): Promise<string[]> {
  const found: string[] = [];
  const seen = await Promise.all(names.map((name) => store.get(name)));
  const times = seen.flatMap((record) => (record === undefined ? [] : [record.createTimeMicros]));
  let after: ListCursor | undefined =
    times.length === 0 ? undefined : { createTimeMicros: Math.min(...times) - 1, name: "" };
  do {
    const page = await store.unfinished({ after, limit });
    assertThat(page.records.length <= limit, `a page has at most ${limit} records`);
    found.push(...page.records.map((record) => record.name));
    after = page.next;
    await between();
  } while (after !== undefined);
  return found.filter((name) => names.includes(name));
}

export function requestId(scope: string, id: string, fingerprint = 1, windowMs = 30 * dayMs) {
  return { scope, id, fingerprint: Uint8Array.of(fingerprint), windowMs };
}

export const storeCase = (title: string, run: (store: OperationStore) => Promise<void>) =>
  contractCase<OperationStore>(title, run);
