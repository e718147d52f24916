import { Code, ConnectError } from "@connectrpc/connect";
import type { OperationStore, Transaction } from "../../store/operation-store.js";
import { assertSame, assertThat, type ContractCase } from "../contract.js";
import { cancelled, claimed, finished, newOperation, response, storeCase } from "./store-case.js";

/** Transactions, if the store has them. */
export const transactionCases: readonly ContractCase<OperationStore>[] = [
  storeCase("hands a transaction's own result on", async (store) => {
    const operation = newOperation();
    const kind = await store.transaction(
      async (transaction) => (await store.insert(operation, { transaction })).kind,
    );
    assertSame(kind, "inserted", "what the transaction returned");
    assertThat((await store.get(operation.name)) !== undefined, "the record is there");
  }),
  storeCase(
    "undoes all of a transaction that throws, where it hands one out, and nothing where it does not",
    async (store) => {
      const operation = newOperation();
      const claim = await claimed(store, newOperation());
      const deleted = await finished(store, newOperation());
      let handedOut = false;
      const outcome = await store
        .transaction(async (transaction) => {
          handedOut = transaction !== undefined;
          if (!handedOut) return "resolved";
          await store.insert(operation, { transaction });
          await store.finish(claim, response, undefined, { transaction });
          await store.hide(deleted.name, { transaction });
          throw new ConnectError("roll back", Code.Aborted);
        })
        .catch(() => "rejected");
      assertSame(outcome, handedOut ? "rejected" : "resolved", "the transaction");
      assertSame(await store.get(operation.name), undefined, "the insert");
      assertSame((await store.get(claim.name))?.state, "running", "the state of the finished one");
      assertThat((await store.get(deleted.name)) !== undefined, "the deleted one is there");
      assertSame((await store.finish(claim, response))?.state, "done", "the end after that");
    },
  ),
  storeCase(
    "inserts together, where it can, what belongs together, and nothing where that fails",
    async (store) => {
      const { insertTogether } = store;
      if (insertTogether === undefined) return;
      const [operation, companion] = [newOperation(), newOperation()];
      const insertBoth = async (_: unknown, transaction: Transaction) => {
        await store.insert(companion, { transaction });
      };
      const failed = await insertTogether(operation, async (records, transaction) => {
        await insertBoth(records, transaction);
        throw new ConnectError("undo", Code.Aborted);
      }).catch((error: unknown) => ConnectError.from(error).code);
      assertSame(failed, Code.Aborted, "what it rejected with");
      assertSame(await store.get(operation.name), undefined, "the insert");
      assertSame(await store.get(companion.name), undefined, "what belongs to it");
      const outcome = await insertTogether(operation, insertBoth);
      assertSame(outcome.kind, "inserted", "the outcome");
      assertSame((await store.get(operation.name))?.state, "queued", "its state");
      assertThat((await store.get(companion.name)) !== undefined, "what belongs to it is there");
      const again = await insertTogether(operation, insertBoth);
      assertSame(again.kind, "name-taken", "the outcome of the same name");
    },
  ),
  storeCase(
    "shows what a transaction did to its own reads, and to all once it is over",
    async (store) => {
      const operation = newOperation();
      const record = await store.transaction(async (transaction) => {
        await store.insert(operation, { transaction });
        await store.requestCancel(operation.name, cancelled, { transaction });
        return store.get(operation.name, { transaction });
      });
      assertSame(record?.state, "done", "what its own read showed");
      assertSame((await store.get(operation.name))?.state, "done", "what a later read showed");
    },
  ),
];
