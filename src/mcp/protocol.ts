// Names and numbers of MCP, and the rules that distinguish its two generations.
import type { JsonObject } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { printable } from "../display/printable.js";
import { truncateForError } from "../internal/truncate-for-error.js";
import { isJsonObject } from "../json/message-json.js";
import type { ExactJsonObject } from "../json/parse-json.js";
import { errorCodes, invalidParams, JsonRpcError, type JsonRpcRequest } from "./json-rpc.js";

/** The generation without `initialize` and sessions. */
export const modernVersion = "2026-07-28";

/** The generation that begins with `initialize`, the newest first. */
export const legacyVersions = ["2025-11-25", "2025-06-18", "2025-03-26"] as const;

export const supportedVersions: readonly string[] = [modernVersion, ...legacyVersions];

/** Keys of `_meta` (MCP 2026-07-28, basic/index). */
export const metaKeys = {
  version: "io.modelcontextprotocol/protocolVersion",
  capabilities: "io.modelcontextprotocol/clientCapabilities",
  serverInfo: "io.modelcontextprotocol/serverInfo",
  subscription: "io.modelcontextprotocol/subscriptionId",
} as const;

/** The extension for tasks (ext-tasks, specification/draft/tasks). */
export const tasksExtension = "io.modelcontextprotocol/tasks";

/** Returns the `_meta` of a request; empty if the request lacks it. */
export function metaOf({ params }: JsonRpcRequest): ExactJsonObject {
  const meta = params._meta;
  return isJsonObject(meta) ? meta : {};
}

/**
 * Whether a request belongs to the generation without `initialize`. Each request decides for itself,
 * because nothing may be inferred from an earlier one (MCP 2026-07-28, basic/index, Statelessness).
 */
export function isModern(request: JsonRpcRequest): boolean {
  return metaOf(request)[metaKeys.version] !== undefined;
}

/** @throws JsonRpcError for `_meta` without a known version and the client's capabilities. */
export function assertModernMeta(request: JsonRpcRequest): void {
  const { [metaKeys.version]: version, [metaKeys.capabilities]: capabilities } = metaOf(request);
  if (typeof version !== "string") throw invalidParams(`_meta has no "${metaKeys.version}"`, 400);
  if (version !== modernVersion) throw unsupportedVersion(version);
  if (!isJsonObject(capabilities)) {
    throw invalidParams(`_meta has no "${metaKeys.capabilities}"`, 400);
  }
}

/** Whether the client declared the extension for tasks in this very request. */
export function declaresTasks(request: JsonRpcRequest): boolean {
  const capabilities = metaOf(request)[metaKeys.capabilities];
  if (!isModern(request) || !isJsonObject(capabilities)) return false;
  const { extensions } = capabilities;
  return isJsonObject(extensions) && isJsonObject(extensions[tasksExtension]);
}

export function missingTasks(): JsonRpcError {
  return new JsonRpcError(
    errorCodes.missingCapability,
    `the client must declare the extension ${tasksExtension}`,
    400,
    { requiredCapabilities: { extensions: { [tasksExtension]: {} } } },
  );
}

export function unsupportedVersion(requested: string): JsonRpcError {
  return new JsonRpcError(
    errorCodes.unsupportedVersion,
    `protocol version "${shownName(requested)}" is not supported`,
    400,
    { supported: [...supportedVersions], requested: truncateForError(requested) },
  );
}

export function methodNotFound(method: string): JsonRpcError {
  return new JsonRpcError(
    errorCodes.methodNotFound,
    `there is no method "${shownName(method)}"`,
    404,
  );
}

/** Returns a name that a client sent, fit for an error's message. */
export function shownName(name: string): string {
  return printable(truncateForError(name));
}

/** One request's surroundings. */
export interface McpCall {
  /** Leads to the methods of the tools and to google.longrunning.Operations. */
  readonly transport: Transport;
  /** Headers for the calls of methods, such as `Authorization`. */
  readonly headers: Headers;
  /** Aborts when the client has gone, or has cancelled the request. */
  readonly signal: AbortSignal;
  /** Sends a notification before the answer; undefined if the client takes none. */
  readonly notify: ((notification: JsonObject) => void) | undefined;
}
