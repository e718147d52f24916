import type { ConformanceCase } from "../case.js";
import { authCases } from "./auth.js";
import { cancelCases } from "./cancel.js";
import { deleteCases } from "./delete.js";
import { durCases } from "./dur.js";
import { errCases } from "./err.js";
import { getCases } from "./get.js";
import { invCases } from "./inv.js";
import { listCases } from "./list.js";
import { mixCases } from "./mix.js";
import { restCases } from "./rest.js";
import { ridCases, validateCases } from "./rid.js";
import { startCases } from "./start.js";
import { metaCases, statusCases } from "./status.js";
import { waitCases } from "./wait.js";
import { wireCases } from "./wire.js";

const ordered: readonly ConformanceCase[] = [
  ...startCases,
  ...getCases,
  ...listCases,
  ...cancelCases,
  ...deleteCases,
  ...waitCases,
  ...statusCases,
  ...metaCases,
  ...ridCases,
  ...validateCases,
  ...errCases,
  ...authCases,
  ...restCases,
  ...wireCases,
  ...mixCases,
];

/**
 * All cases in the order in which they run: by group, then the cases that run alone, because they
 * can break a server or count its work, then the restarts. The invariants are last, because they
 * judge the answers of all other cases.
 */
export const allCases: readonly ConformanceCase[] = [
  ...ordered.filter(({ alone }) => !alone),
  ...ordered.filter(({ alone }) => alone),
  ...durCases,
  ...invCases,
];
