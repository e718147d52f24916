/** The store alone: an insert, a claim and a terminal write, without a server. */
import { v7 as uuidv7 } from "uuid";
import { createSqliteStore } from "../../src/store/sqlite/index.js";
import { runClient } from "../child-side.js";
import { temporaryDatabase } from "./sqlite-file.js";

const store = await createSqliteStore({ path: temporaryDatabase() });
const payload = new Uint8Array(40);
const result = { kind: "response", value: payload } as const;

async function runOne(): Promise<void> {
  const name = `operations/${uuidv7()}`;
  await store.insert({
    name,
    parent: "",
    method: "printing.v1.PrintService/Print",
    principal: "",
    external: false,
    request: payload,
    metadata: undefined,
    result: undefined,
    retentionMs: 60_000,
    deadlineMs: undefined,
    resourceKey: undefined,
    requestId: undefined,
  });
  await store.claim(name);
  const done = await store.finish({ name, attempt: 1 }, result);
  if (done === undefined) throw new Error(`${name} did not end`);
}

runClient(() => ({ call: runOne, answer: async () => new Uint8Array() }));
