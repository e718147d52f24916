import { Code, ConnectError } from "@connectrpc/connect";
import type { OperationStore } from "../../store/operation-store.js";
import { assertSame, assertThat, type ContractCase } from "../contract.js";
import { inserted, newOperation, storeCase } from "./store-case.js";

/** A store that was closed. */
export const closingCases: readonly ContractCase<OperationStore>[] = [
  storeCase(
    "server 31: answers nothing once it is closed, rather than not found",
    async (store) => {
      const { name } = await inserted(store, newOperation());
      await store.close();
      const error = await store.get(name).catch((thrown: unknown) => thrown);
      assertThat(error instanceof ConnectError, "the call is refused");
      assertSame(error.code, Code.Unavailable, "code");
    },
  ),
];
