import type { OperationStore } from "../store/operation-store.js";
import type { ContractCase } from "./contract.js";
import { attemptCases } from "./store-contract/attempt-cases.js";
import { cancellationCases } from "./store-contract/cancellation-cases.js";
import { closingCases } from "./store-contract/closing-cases.js";
import { deadlineCases } from "./store-contract/deadline-cases.js";
import { deletionCases } from "./store-contract/deletion-cases.js";
import { endCases } from "./store-contract/end-cases.js";
import { expiryCases } from "./store-contract/expiry-cases.js";
import { filterCases } from "./store-contract/filter-cases.js";
import { insertCases } from "./store-contract/insert-cases.js";
import { listCases } from "./store-contract/list-cases.js";
import { requestIdCases } from "./store-contract/request-id-cases.js";
import { resourceCases } from "./store-contract/resource-cases.js";
import { transactionCases } from "./store-contract/transaction-cases.js";
import { unfinishedCases } from "./store-contract/unfinished-cases.js";
import { wildcardListCases } from "./store-contract/wildcard-list-cases.js";

/**
 * The contract of every `OperationStore`. Each case needs a separate store, which it may close. The
 * stores may share one database, because each case uses its own parents.
 */
export const storeContract: readonly ContractCase<OperationStore>[] = [
  ...insertCases,
  ...requestIdCases,
  ...attemptCases,
  ...resourceCases,
  ...deadlineCases,
  ...unfinishedCases,
  ...endCases,
  ...cancellationCases,
  ...deletionCases,
  ...expiryCases,
  ...listCases,
  ...wildcardListCases,
  ...filterCases,
  ...transactionCases,
  ...closingCases,
];
