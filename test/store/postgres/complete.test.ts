import assert from "node:assert/strict";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, it } from "vitest";
import { createLongRunningClient, OperationError } from "../../../src/index.js";
import { createOperations, type OperationsEvent } from "../../../src/server/index.js";
import type { OperationStore, Transaction } from "../../../src/store/index.js";
import { connectPostgres } from "../../../src/store/postgres/index.js";
import { PrintService } from "../../gen/printing/v1/printing_pb.js";
import { createTestDatabase, type TestDatabase } from "../../support/postgres/test-database.js";
import { createPrintServer, Print, type PrintWork } from "../../support/print-server.js";

describe("op.complete", () => {
  let database: TestDatabase;
  const shutdowns: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    database = await createTestDatabase();
    await database.pool.query("create table receipts (operation text not null)");
  });

  afterAll(async () => {
    await Promise.all(shutdowns.map((shutdown) => shutdown()));
  });

  /** Run a body in a transaction of the work's own. */
  async function transact<T>(body: (transaction: Transaction) => Promise<T>): Promise<T> {
    const client = await database.pool.connect();
    try {
      await client.query("begin");
      const result = await body({ executeSql: (text, values) => client.query(text, values) });
      await client.query("commit");
      return result;
    } catch (cause) {
      await client.query("rollback");
      throw cause;
    } finally {
      client.release();
    }
  }

  const receipt = (transaction: Transaction, name: string) =>
    transaction.executeSql("insert into receipts values ($1)", [name]);

  /** One print by this work: its result, its receipts and the logged events. */
  async function print(
    work: (op: Parameters<PrintWork>[0], store: OperationStore) => ReturnType<PrintWork>,
  ) {
    const parts = await connectPostgres({ connectionString: database.url });
    const events: OperationsEvent[] = [];
    const operations = createOperations({
      ...parts,
      pageTokenKey: new Uint8Array(32),
      log: (event) => events.push(event),
    });
    const transport = createRouterTransport((router) => {
      router.service(PrintService, {
        print: operations.handle(Print, (op) => work(op, parts.store)),
      });
    });
    shutdowns.push(() => operations.shutdown());
    const { name } = await createLongRunningClient({ print: Print }, transport).print({ pages: 1 });
    const outcome = await outcomeOf(parts.store, name);
    await operations.shutdown();
    const receipts = await database.pool.query("select from receipts where operation = $1", [name]);
    return { ...outcome, receipts: receipts.rowCount, events: events.map(({ kind }) => kind) };
  }

  /** Kind and attempt of the record as soon as it is done. */
  async function outcomeOf(store: OperationStore, name: string) {
    for (;;) {
      const record = await store.get(name);
      if (record?.state === "done") return { kind: record.result?.kind, attempt: record.attempt };
    }
  }

  it("durability 8: commits the work's rows and the end together", async () => {
    let isAborted: boolean | undefined;
    const printed = await print(async (op) => {
      const response = await transact(async (transaction) => {
        await receipt(transaction, op.name);
        return op.complete({ pages: 1 }, transaction);
      });
      isAborted = op.signal.aborted;
      return response;
    });
    assert.deepEqual(printed, { kind: "response", attempt: 1, receipts: 1, events: [] });
    assert.equal(isAborted, false);
  });

  it("durability 8: a committed result is kept, whatever the work throws after it", async () => {
    const printed = await print(async (op) => {
      await transact(async (transaction) => op.complete({ pages: 1 }, transaction));
      throw new ConnectError("too late", Code.Internal);
    });
    assert.equal(printed.kind, "response");
  });

  it("durability 8: leaves an operation that was rolled back to what the work does then", async () => {
    const printed = await print(async (op) => {
      const failing = transact(async (transaction) => {
        await receipt(transaction, op.name);
        await op.complete({ pages: 1 }, transaction);
        throw new Error("out of paper");
      });
      await assert.rejects(failing, { message: "out of paper" });
      throw new ConnectError("out of paper", Code.ResourceExhausted);
    });
    assert.deepEqual(printed, { kind: "error", attempt: 1, receipts: 0, events: [] });
  });

  it("durability 19: an attempt that has lost its operation commits nothing", async () => {
    const printed = await print(async (op, store) => {
      // Another worker claims the operation.
      const other = await store.claim(op.name);
      assert.ok(other !== undefined);
      const completing = transact(async (transaction) => {
        await receipt(transaction, op.name);
        return op.complete({ pages: 1 }, transaction);
      });
      await assert.rejects(completing, (error) => {
        assert.ok(error instanceof ConnectError);
        assert.equal(error.code, Code.Aborted);
        return true;
      });
      await store.finish(other, { kind: "error", value: new Uint8Array() });
      return { pages: 1 };
    });
    assert.deepEqual(printed, {
      kind: "error",
      attempt: 2,
      receipts: 0,
      events: ["attempt-lost"],
    });
  });

  it("is refused where operations are in memory", async () => {
    const { printer } = createPrintServer(async (op) =>
      op.complete({ pages: 1 }, { executeSql: async () => ({ rows: [] }) }),
    );
    const handle = await printer.print({});
    await assert.rejects(handle.result(), (error) => {
      assert.ok(error instanceof OperationError);
      assert.equal(error.code, Code.FailedPrecondition);
      return true;
    });
  });
});
