import { Code, ConnectError } from "@connectrpc/connect";
import { CommanderError } from "commander";
import { printable } from "../display/printable.js";
import { truncateForError } from "../internal/truncate-for-error.js";
import { exitCodes } from "./exit-codes.js";

/** An error in the command line or its files, with its remedy on a second line; the exit code is 2. */
function usageError(code: string, what: string, remedy: string): CommanderError {
  const message = `${printable(what)}\n  ${remedy}`;
  return new CommanderError(exitCodes.usage, `longrunning.${code}`, message);
}

/** Returns the error for a file that cannot be read. It contains Node's code for the reason. */
export function unreadableFile(path: string, cause: unknown): CommanderError {
  return usageError(
    "unreadableFile",
    `${path} cannot be read: ${systemReason(cause)}`,
    "check the path and its permissions",
  );
}

/** Returns the error for a server whose methods cannot be determined. */
export function noServices(server: string): CommanderError {
  return usageError(
    "noServices",
    `${server} lists no services by reflection`,
    "give the descriptors of its services with --proto-set FILE (buf build -o FILE.binpb)",
  );
}

export function fileTooLarge(path: string, maxBytes: number): CommanderError {
  return usageError(
    "fileTooLarge",
    `${path} is larger than the limit of ${maxBytes / 1024 / 1024} MiB`,
    "give a smaller file",
  );
}

/** Returns the error for a file that cannot be created. It contains Node's code for the reason. */
export function unwritableFile(path: string, cause: unknown): CommanderError {
  return usageError(
    "unwritableFile",
    `${path} cannot be written: ${systemReason(cause)}`,
    "check the folder and its permissions",
  );
}

/**
 * Returns the error for a value that is not a key for page tokens. The message does not show the
 * value.
 */
export function badPageTokenKey(from: string, keyBytes: number): CommanderError {
  return usageError(
    "badPageTokenKey",
    `${from} must hold ${keyBytes} bytes in base64`,
    `make a key with: openssl rand -base64 ${keyBytes}`,
  );
}

/** An option that needs packages which are not installed, as one line. */
function packagesMissing(option: keyof typeof packagesOnDemand): CommanderError {
  const alternative = option === "--data" ? "Node 22.13 or newer, or " : "";
  const packages = packagesOnDemand[option].join(" ");
  return new CommanderError(
    exitCodes.usage,
    "longrunning.packagesMissing",
    `${option} needs ${alternative}packages that are not installed: npm install ${packages}`,
  );
}

/** Packages that the command loads on demand, in the versions of the peer dependencies. */
export const packagesOnDemand = {
  "--data": ["libsql@0.5"],
  "--database-url": ["pg@8", "pg-boss@12"],
  "--metrics-port": [
    "@opentelemetry/api@1.9",
    "@opentelemetry/sdk-metrics@2",
    "@opentelemetry/exporter-prometheus@0.223",
  ],
} as const;

/** Whether an import failed because a package is not installed, here or in a cause. */
function isPackageMissing(cause: unknown): boolean {
  if (codeOf(cause) === "ERR_MODULE_NOT_FOUND") return true;
  return cause instanceof Error && cause.cause !== undefined && isPackageMissing(cause.cause);
}

/**
 * Returns the error for a store that cannot be opened or migrated. Errors of the command line are
 * returned unchanged. The message never shows the database's address, which may hold a password.
 *
 * @param option The option that asks for the store.
 */
export function storeNotOpened(
  option: "--data" | "--database-url",
  cause: unknown,
): CommanderError {
  if (cause instanceof CommanderError) return cause;
  if (isPackageMissing(cause)) return packagesMissing(option);
  if (cause instanceof ConnectError && cause.code === Code.Unavailable) {
    return new CommanderError(
      exitCodes.unreachable,
      "longrunning.databaseUnreachable",
      `${printable(cause.rawMessage)}\n  check that it runs, and the address in --database-url`,
    );
  }
  const why = cause instanceof ConnectError ? truncateForError(cause.rawMessage) : messageOf(cause);
  return usageError(
    "storeNotOpened",
    why,
    "`longrunning serve --help` says what --data and --database-url want",
  );
}

/** `--metrics-port` if its packages cannot be loaded. */
export function metricsNotLoaded(cause: unknown): CommanderError {
  if (isPackageMissing(cause)) return packagesMissing("--metrics-port");
  return usageError(
    "metricsNotLoaded",
    `--metrics-port cannot load its packages: ${messageOf(cause)}`,
    `npm install ${packagesOnDemand["--metrics-port"].join(" ")}`,
  );
}

export function twoStores(): CommanderError {
  return usageError(
    "twoStores",
    "--data cannot be used with --database-url: operations are kept in one place",
    "give one of them",
  );
}

export function noDatabaseUrl(): CommanderError {
  return usageError(
    "noDatabaseUrl",
    "there is no database to migrate",
    "give --database-url, or --print for the statements",
  );
}

/** Returns the error for a file of --proto-set that does not hold a FileDescriptorSet. */
export function notAProtoSet(path: string, why: string): CommanderError {
  return usageError(
    "notAProtoSet",
    `${path} is not a google.protobuf.FileDescriptorSet with all imports: ${truncateForError(why)}`,
    "write one with: buf build -o FILE.binpb (or protoc --include_imports --descriptor_set_out=FILE)",
  );
}

/**
 * Returns the error for a file of --load that is not a list of operations. `where` is a path in it,
 * or empty.
 */
export function notLoadable(path: string, where: string, why: string): CommanderError {
  const place = where === "" ? "" : ` ${where}`;
  return usageError(
    "notLoadable",
    `${path}:${place} ${why}`,
    "the file must be a google.longrunning.ListOperationsResponse as JSON; `longrunning list --json` writes one",
  );
}

/** Returns the error for an Any in a file of --load whose type the command does not have. */
export function unknownPayloadType(path: string, where: string, typeUrl: string): CommanderError {
  return usageError(
    "unknownPayloadType",
    `${path}: ${where} is of type "${truncateForError(typeUrl)}", which is not known here`,
    'give its descriptors with --proto-set, or its bytes: {"@type": "…", "value": "BASE64"}',
  );
}

/**
 * Returns the error for an address that a server cannot use. `option` is the option with its port.
 */
export function cannotListen(
  option: string,
  host: string,
  port: number,
  cause: unknown,
): CommanderError {
  const isTaken = codeOf(cause) === "EADDRINUSE";
  return usageError(
    "cannotListen",
    `cannot listen on ${host} port ${port}: ${systemReason(cause)}`,
    isTaken
      ? `end what uses the port, or give another ${option} (0 for any free one)`
      : `give another --host or ${option}`,
  );
}

/** Returns the error for a certificate or a key that TLS refuses. */
export function badCertificate(cause: unknown): CommanderError {
  return usageError(
    "badCertificate",
    `the certificate and its key cannot be used: ${messageOf(cause)}`,
    "give both in PEM, with --tls-cert and --tls-key",
  );
}

export function incompleteTls(): CommanderError {
  return usageError(
    "incompleteTls",
    "--tls-cert and --tls-key go together",
    "give both, or neither for plaintext",
  );
}

/** Returns the error for a subject file that the conformance suite cannot use. */
export function badSubjectFile(path: string, problem: string): CommanderError {
  return usageError(
    "badSubjectFile",
    `${path}: ${truncateForError(problem)}`,
    "`longrunning conformance --init` writes a file that works",
  );
}

/** Returns the error for a subject file whose members contradict each other. */
export function contradictorySubject(problem: string): CommanderError {
  return usageError("contradictorySubject", truncateForError(problem), "correct the subject file");
}

/** Returns the error for an environment variable of a subject file that is not set. */
export function missingVariable(path: string, name: string): CommanderError {
  return usageError(
    "missingVariable",
    `${path}: the environment variable ${truncateForError(name)} is not set`,
    `set it, as ${truncateForError(name)}=… longrunning conformance ${path}`,
  );
}

/** Returns the error for a pattern of --case that matches no case. */
export function noSuchCase(pattern: string): CommanderError {
  return usageError(
    "noSuchCase",
    `no case matches "${truncateForError(pattern)}"`,
    "`longrunning conformance --list` shows all of them",
  );
}

/** Returns the error for a subject that does not start. */
export function subjectNotReady(program: string, why: string, output: string): CommanderError {
  return new CommanderError(
    exitCodes.unreachable,
    "longrunning.subjectNotReady",
    `the subject ${printable(program)} did not start: ${printable(why)}\n${lastLines(output)}  check "command" and "ready" in the subject file`,
  );
}

/** Returns the error for a subject that answers over no protocol. */
export function subjectNotReached(path: string, why: string, output: string): CommanderError {
  return new CommanderError(
    exitCodes.unreachable,
    "longrunning.subjectNotReached",
    `the subject does not answer: ${printable(why)}\n${lastLines(output)}  check that it runs, and the addresses in ${printable(path)}`,
  );
}

/** Most lines of a subject's output in an error. */
const maxLines = 10;

function lastLines(output: string): string {
  const lines = output.trimEnd().split("\n").slice(-maxLines);
  return output.trim() === "" ? "" : lines.map((line) => `  | ${printable(line)}\n`).join("");
}

/** Returns the error for a parent pattern or a version that is not valid in an HTTP rule. */
export function badRestRule(cause: unknown): CommanderError {
  return usageError(
    "badRestRule",
    messageOf(cause),
    "give --rest-version as v1 and --rest-parent as projects/*/locations/*",
  );
}

/** Returns the error for a program of --header-command that failed. */
export function headerCommandFailed(program: string, why: string): CommanderError {
  return usageError(
    "headerCommandFailed",
    `--header-command ${program}: ${why}`,
    "give a program that prints `name: value` lines and exits with 0 within 10 s",
  );
}

export function tlsForPlaintext(option: string): CommanderError {
  return usageError(
    "tlsForPlaintext",
    `${option} is for servers with TLS, and this server's address begins with http://`,
    "give the address as https://…, or leave the option out",
  );
}

/** Returns the system's reason for an error of a file or an address, without syscall and path. */
function systemReason(cause: unknown): string {
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: "there is no such file",
    EACCES: "no permission",
    EISDIR: "it is a folder",
    EADDRINUSE: "the address is in use",
    EADDRNOTAVAIL: "this machine has no such address",
    ENOTFOUND: "there is no such host",
  };
  const code = codeOf(cause);
  return reasons[code] ?? (code || messageOf(cause));
}

function codeOf(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return typeof code === "string" ? code : "";
}

export function messageOf(cause: unknown): string {
  return cause instanceof Error ? truncateForError(cause.message) : "unknown reason";
}

export function nameOrFilter(): CommanderError {
  return usageError(
    "nameOrFilter",
    "give either the name of one operation or --filter",
    "longrunning list --filter shows the operations that a filter matches",
  );
}

export function bulkNotConfirmed(operations: number): CommanderError {
  return usageError(
    "bulkNotConfirmed",
    `nothing was changed: ${operations} operations were not confirmed`,
    "add --yes to go on without the question",
  );
}

export function noOperatorPlace(): CommanderError {
  return usageError(
    "noOperatorPlace",
    "there is no database to look at",
    "give --database-url or LONGRUNNING_DATABASE_URL for PostgreSQL, --data for a SQLite file",
  );
}

/** Returns the error for an operation that is not in the database. */
export function operationNotStored(name: string): CommanderError {
  return new CommanderError(
    exitCodes.notFound,
    "longrunning.operationNotStored",
    `the database has no operation ${printable(name)}\n  check the name, and the database and its --schema: it may have expired and been removed`,
  );
}

/** Returns the error for a SQLite file without a server that answers operators. */
export function noOperatorSocket(path: string, why: string): CommanderError {
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: "no server has it open",
    ECONNREFUSED: "the server that had it open has ended",
    EACCES: "it belongs to another user",
  };
  return new CommanderError(
    exitCodes.unreachable,
    "longrunning.noOperatorSocket",
    `${printable(path)} cannot be looked at: ${printable(reasons[why] ?? why)}\n  start the server that owns the file, and run the command as the same user`,
  );
}

/** Returns the error for an error of the server that has a SQLite file open. */
export function operatorRefused(path: string, why: string): CommanderError {
  return new CommanderError(
    exitCodes.refused,
    "longrunning.operatorRefused",
    `the server of ${printable(path)} failed: ${truncateForError(why)}`,
  );
}
