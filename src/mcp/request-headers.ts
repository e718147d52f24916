import type { ExactJson } from "../json/parse-json.js";
import { errorCodes, JsonRpcError, type JsonRpcRequest } from "./json-rpc.js";
import { methodNotFound, shownName } from "./protocol.js";

/** The parameter that `Mcp-Name` repeats, by method (streamable-http; ext-tasks, Routing Headers). */
const namedBy: Readonly<Record<string, string>> = {
  "tools/call": "name",
  "tasks/get": "taskId",
  "tasks/update": "taskId",
  "tasks/cancel": "taskId",
};

/**
 * Checks headers of the generation that begins with `initialize`. It knows neither `Mcp-Method` nor
 * `Mcp-Name`, but a proxy may act by them, so that they must not contradict the body.
 *
 * @throws JsonRpcError HEADER_MISMATCH for a header that says something else than the body.
 */
export function assertNoContradiction({ method, params }: JsonRpcRequest, headers: Headers): void {
  const sentMethod = headers.get("mcp-method");
  if (sentMethod !== null) assertMatches("Mcp-Method", sentMethod, method);
  const parameter = Object.hasOwn(namedBy, method) ? namedBy[method] : undefined;
  const sentName = headers.get("mcp-name");
  if (sentName === null || parameter === undefined) return;
  assertMatches("Mcp-Name", decoded(sentName), params[parameter]);
}

/**
 * Checks that the headers repeat the body, because proxies route by the headers and the server acts by
 * the body.
 *
 * @param version The version in the body's `_meta`.
 * @throws JsonRpcError HEADER_MISMATCH if a header is absent or says something else;
 *   METHOD_NOT_FOUND for a method that the server does not have, before its name is compared.
 */
export function assertHeadersMatch(
  request: JsonRpcRequest,
  headers: Headers,
  hasMethod: boolean,
  version: ExactJson | undefined,
): void {
  const { method, params } = request;
  assertMatches("MCP-Protocol-Version", headers.get("mcp-protocol-version"), version);
  assertMatches("Mcp-Method", headers.get("mcp-method"), method);
  if (!hasMethod) throw methodNotFound(method);
  const parameter = Object.hasOwn(namedBy, method) ? namedBy[method] : undefined;
  if (parameter === undefined) return;
  assertMatches("Mcp-Name", decoded(headers.get("mcp-name")), params[parameter]);
}

function assertMatches(
  header: string,
  value: string | null,
  expected: ExactJson | undefined,
): void {
  if (value !== null && value === expected) return;
  const problem = value === null ? "is missing" : `"${shownName(value)}" is not that of the body`;
  throw new JsonRpcError(errorCodes.headerMismatch, `the header ${header} ${problem}`, 400);
}

const encodedValue = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/;

/** Values that are not plain ASCII come as base64 of their UTF-8 (streamable-http, Value Encoding). */
function decoded(value: string | null): string | null {
  const base64 = value === null ? undefined : encodedValue.exec(value)?.[1];
  if (base64 === undefined) return value;
  try {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new JsonRpcError(
      errorCodes.headerMismatch,
      "the header Mcp-Name is not base64 of UTF-8",
      400,
    );
  }
}
