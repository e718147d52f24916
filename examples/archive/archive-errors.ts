import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, ResourceInfoSchema } from "connect-longrunning/protos";

/** The `domain` of every ErrorInfo that this service makes (AIP-193). */
const domain = "archive.example";

/** A path, and the kind of resource that this service expects there. */
export interface Resource {
  readonly kind: "Folder" | "File" | "Archive";
  readonly path: string;
}

/** INVALID_ARGUMENT for a path that no file system takes; `problem` goes on from the field's name. */
export function invalidPath(field: string, problem: string): ConnectError {
  const description = `${field} ${problem}`;
  const reason = "INVALID_PATH";
  return new ConnectError(description, Code.InvalidArgument, undefined, [
    { desc: ErrorInfoSchema, value: { reason, domain, metadata: { field } } },
    { desc: BadRequestSchema, value: { fieldViolations: [{ field, description, reason }] } },
  ]);
}

/** NOT_FOUND for a folder that does not exist, or that is something else. */
export function folderNotFound(path: string, cause?: unknown): ConnectError {
  const message = `"${path}" is not a folder`;
  const fault = { reason: "FOLDER_NOT_FOUND", message, cause };
  return resourceError(Code.NotFound, fault, { kind: "Folder", path });
}

/** ALREADY_EXISTS for an archive whose place is taken. */
function archiveExists(path: string, cause: unknown): ConnectError {
  const fault = { reason: "ARCHIVE_EXISTS", message: `"${path}" exists already`, cause };
  return resourceError(Code.AlreadyExists, fault, { kind: "Archive", path });
}

/** ABORTED for a file that was changed or removed meanwhile: another try may go well. */
export function fileChanged(path: string, cause?: unknown): ConnectError {
  const message = `"${path}" changed while its folder was being archived`;
  const fault = { reason: "FILE_CHANGED", message, cause };
  return resourceError(Code.Aborted, fault, { kind: "File", path });
}

/**
 * Translates an error of the file system. Returns an error other than the common
 * refusals unchanged; then the caller sees only that there
 * was one (UNKNOWN), and the server's log has the rest.
 */
export function fileSystemFault(
  cause: unknown,
  resource: Resource,
  whenMissing: (path: string, cause: unknown) => ConnectError,
): unknown {
  const { path } = resource;
  switch (systemCodeOf(cause)) {
    case "ENOENT":
    case "ENOTDIR":
    case "ELOOP":
      return whenMissing(path, cause);
    case "EEXIST":
      return archiveExists(path, cause);
    case "EACCES":
    case "EPERM":
    case "EROFS": {
      const fault = { reason: "ACCESS_DENIED", message: `access to "${path}" is denied`, cause };
      return resourceError(Code.PermissionDenied, fault, resource);
    }
    case "ENOSPC":
    case "EDQUOT":
    case "EFBIG": {
      const fault = { reason: "NO_SPACE", message: `there is no room for "${path}"`, cause };
      return resourceError(Code.ResourceExhausted, fault, resource);
    }
    default:
      return cause;
  }
}

function resourceError(
  code: Code,
  fault: { reason: string; message: string; cause: unknown },
  { kind, path }: Resource,
): ConnectError {
  const { reason, message, cause } = fault;
  const resource = { resourceType: `${domain}/${kind}`, resourceName: path };
  const details = [
    { desc: ErrorInfoSchema, value: { reason, domain, metadata: { path } } },
    { desc: ResourceInfoSchema, value: resource },
  ];
  return new ConnectError(message, code, undefined, details, cause);
}

function systemCodeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
