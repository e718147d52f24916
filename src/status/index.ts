export { codeFromName, codeName } from "./code.js";
export { codeFromHttpStatus, httpStatusFromCode } from "./http-status.js";
export { type StandardDetails, standardDetailsOf } from "./standard-details.js";
export { errorFromStatus, statusFromError } from "./status-error.js";
