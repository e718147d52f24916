export { codeFromHttpStatus, codeFromName, codeName, httpStatusFromCode } from "./code.js";
export { type StandardDetails, standardDetailsOf } from "./standard-details.js";
export { errorFromStatus, statusFromError } from "./status-error.js";
