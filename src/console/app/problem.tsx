import { Code, ConnectError } from "@connectrpc/connect";
import type { ComponentChildren } from "preact";
import { codeName } from "../../status/code.js";
import { standardDetailsOf } from "../../status/standard-details.js";
import { reasonOf } from "./session.js";
import { Text } from "./text.js";

/** Writes an error as `CODE: message`. */
export function errorText(cause: unknown): string {
  const error = ConnectError.from(cause);
  return `${codeName(error.code)}: ${error.rawMessage}`;
}

/** Says in a few words what the user can do about an error. */
export function remedyOf(error: ConnectError): string {
  if (reasonOf(error) === "CONSOLE_TOKEN_REQUIRED") {
    return "Open the link that the command printed; it holds the token.";
  }
  switch (error.code) {
    case Code.Unauthenticated:
      return "Give the page credentials.";
    case Code.PermissionDenied:
      return "Use other credentials, or ask the owner of the server for the permission.";
    case Code.Unimplemented:
      return "The server does not list operations. Enter the full name of one in the filter box.";
    case Code.NotFound:
      return "Check the name.";
    case Code.InvalidArgument:
      return "Check the parent and the filter.";
    default:
      return "Check that the server runs and that this machine can reach it.";
  }
}

/**
 * Returns the 1-based column of a fault in the filter: 0 if the column is not known, undefined if the
 * error is about another field.
 */
export function filterFaultOf(error: ConnectError): number | undefined {
  const { errorInfo, badRequest } = standardDetailsOf(error);
  const isFilter =
    errorInfo?.metadata.field === "filter" ||
    badRequest?.fieldViolations.some(({ field }) => field === "filter");
  if (!isFilter) return undefined;
  const position = Number(errorInfo?.metadata.position);
  return Number.isInteger(position) && position > 0 ? position : 0;
}

/** Shows the state of an empty list or detail view, or an error with its remedy. */
export function Notice({
  title,
  text,
  children,
  isError = false,
}: {
  title: string;
  text?: string;
  children?: ComponentChildren;
  isError?: boolean;
}) {
  return (
    <div class={isError ? "notice error" : "notice"} role={isError ? "alert" : "status"}>
      <h2>{title}</h2>
      {text !== undefined && (
        <p>
          <Text value={text} />
        </p>
      )}
      {children}
    </div>
  );
}
