import { Code, type ConnectError } from "@connectrpc/connect";
import { truncateForError } from "../internal/truncate-for-error.js";
import { BadRequestSchema } from "../protos.js";
import { errorWithInfo } from "../status/error-info.js";

/**
 * Returns INVALID_ARGUMENT with a BadRequest that names the argument at fault, empty for all of
 * them.
 */
export function argumentInvalid(field: string, description: string): ConnectError {
  const subject = field === "" ? "the object" : truncateForError(field);
  const message = `the arguments do not fit the input schema: ${subject} ${description}`;
  return errorWithInfo(Code.InvalidArgument, message, {
    reason: "INVALID_TOOL_ARGUMENTS",
    metadata: { field: truncateForError(field) },
    details: [
      {
        desc: BadRequestSchema,
        value: { fieldViolations: [{ field: truncateForError(field), description }] },
      },
    ],
  });
}
