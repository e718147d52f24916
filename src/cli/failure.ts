import { Code, ConnectError } from "@connectrpc/connect";
import { CommanderError } from "commander";
import { OperationError } from "../client/index.js";
import { printable } from "../display/printable.js";
import { codeName } from "../status/code.js";
import { standardDetailsOf } from "../status/standard-details.js";
import { exitCodeOfError, exitCodes } from "./exit-codes.js";

/** The end of a command that failed: its message on standard error and its exit code. */
export interface Failure {
  readonly exitCode: number;
  /** The reason, on one line; errors of the command line have a second line. */
  readonly message: string;
  /** A remedy; empty if there is no known one. */
  readonly remedy: string;
}

/**
 * Explains an error to the user of the command, without a stack trace. For an unexpected error, it
 * shows only the message.
 *
 * @param name The operation that the command is about; empty for none.
 */
export function failureOf(error: unknown, name: string): Failure {
  if (error instanceof CommanderError) {
    return { exitCode: error.exitCode, message: error.message, remedy: "" };
  }
  const isPlaintext = error instanceof ConnectError && isPlaintextServer(error);
  const exitCode = isPlaintext ? exitCodes.unreachable : exitCodeOfError(error);
  if (!(error instanceof ConnectError)) {
    const message = error instanceof Error ? error.message : String(error);
    return { exitCode, message: `unexpected fault: ${printable(message)}`, remedy: "" };
  }
  return {
    exitCode,
    message: printable(messageOf(error)),
    remedy: remedyOf(error, exitCode, name),
  };
}

/** Returns the failure of an interrupted command, regardless of the errors of its calls. */
export function interruption(name: string): Failure {
  return { exitCode: exitCodes.interrupted, message: "interrupted", remedy: goesOn(name) };
}

function goesOn(name: string): string {
  if (name === "") return "";
  return `the operation goes on: \`longrunning wait ${printable(name)}\` takes the wait up again, \`longrunning cancel\` stops it`;
}

function messageOf(error: ConnectError): string {
  const reason = standardDetailsOf(error).errorInfo?.reason;
  const message = error.rawMessage === "" ? "the server gave no message" : error.rawMessage;
  return `${codeName(error.code)}: ${message}${reason === undefined ? "" : ` (${reason})`}`;
}

function remedyOf(error: ConnectError, exitCode: number, name: string): string {
  if (isPlaintextServer(error)) {
    return "the server responded without TLS: begin its address with http:// instead of https://";
  }
  if (isAboutCertificate(error)) {
    return "give the authority that signed it with --ca FILE, or trust it blindly with --insecure";
  }
  switch (exitCode) {
    case exitCodes.timeout:
      return error instanceof OperationError
        ? goesOn(name)
        : "the server did not answer in time; give it longer with --timeout";
    case exitCodes.notFound:
      return "check the name and the server, or see `longrunning list`: it may have been deleted, or have expired";
    case exitCodes.unreachable:
      return "check that the server runs, its address in --server, and the --protocol";
  }
  switch (error.code) {
    case Code.Unauthenticated:
      return "give credentials, as --header 'Authorization: Bearer TOKEN'";
    case Code.PermissionDenied:
      return "ask for the permission, or give other credentials with --header";
    case Code.Unimplemented:
      return "the server may not have this method, or speak another --protocol";
    case Code.Internal:
    case Code.Unknown:
    case Code.Aborted:
      return "if the server speaks another protocol, say which with --protocol";
    default:
      return "";
  }
}

/** Whether the server spoke plaintext on a TLS connection, by OpenSSL's error code. */
function isPlaintextServer(error: ConnectError): boolean {
  return causesOf(error).some(({ message, code }) =>
    /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|wrong version number|packet length too long/i.test(
      `${String(code)} ${message}`,
    ),
  );
}

/** How many causes of an error are searched: `fetch` wraps the error of TLS. */
const maxCauses = 4;

/** Whether TLS refused the server, by OpenSSL's message for a certificate that is not trusted. */
function isAboutCertificate(error: ConnectError): boolean {
  // An error that the server sent has no cause, and its message may mention other certificates.
  const causes = causesOf(error);
  const messages = [error.rawMessage, ...causes.map(({ message }) => message)];
  return causes.length > 0 && messages.some((text) => /certificate|altnames/i.test(text));
}

function causesOf(error: ConnectError): (Error & { code?: unknown })[] {
  const causes: Error[] = [];
  let { cause } = error;
  for (let depth = 0; depth < maxCauses && cause instanceof Error; depth += 1) {
    causes.push(cause);
    ({ cause } = cause);
  }
  return causes;
}
