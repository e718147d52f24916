import type { JsonObject } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { printable, printableJson } from "../display/printable.js";
import type { LongRunningMethod } from "../operation/long-running.js";
import type { Operation } from "../protos.js";
import { codeName } from "../status/code.js";
import { errorCodes, JsonRpcError } from "./json-rpc.js";
import { type EnvelopeWriter, errorOf } from "./operation-envelope.js";
import { shortText } from "./progress-notifier.js";

/** Writes results of `tools/call` (MCP 2026-07-28, server/tools). */
export interface ToolResults {
  /**
   * The result of a call that succeeded.
   *
   * @param subject The result's name in the error if it is too long. Default: `the result`.
   */
  ofJson(structured: object, subject?: string): JsonObject;
  /**
   * The result of an operation, done or not.
   *
   * @param failure Whether work that failed makes the result an error, or is shown like any state.
   * @throws JsonRpcError INTERNAL if failures are errors and the operation's error says that the
   *   server broke.
   */
  ofOperation(
    operation: Operation,
    types: LongRunningMethod | undefined,
    failure: "isError" | "isShown",
  ): JsonObject;
  /** The result of a call that failed before there was an operation. */
  ofError(error: ConnectError): JsonObject;
}

/** @param maxLength Longest text of a result, in characters. */
export function createToolResults(envelopes: EnvelopeWriter, maxLength: number): ToolResults {
  const resultOf = (structured: object, isError: boolean, subject: string): JsonObject => {
    // Some hosts show models the text, others the structured content: both are the same JSON.
    const text = printableJson(structured, 0);
    if (text.length > maxLength) {
      const problem = `${subject} has ${text.length} characters, more than the ${maxLength} allowed`;
      return { content: [{ type: "text", text: problem }], isError: true };
    }
    return {
      content: [{ type: "text", text }],
      structuredContent: structured as JsonObject,
      isError,
    };
  };

  return {
    ofJson: (structured, subject = "the result") => resultOf(structured, false, subject),

    ofOperation(operation, types, failure) {
      const error = failure === "isError" ? errorOf(operation) : undefined;
      if (error !== undefined && isServerFault(error.code)) throw serverFault(error);
      const envelope = envelopes.ofOperation(operation, types);
      return resultOf(envelope, error !== undefined, `the result of ${printable(operation.name)}`);
    },

    ofError(error) {
      const body = { error: envelopes.ofError(error) };
      // Clients validate structured content against the tool's schema, which has no such member.
      const { content } = resultOf(body, true, "the error");
      return { content: content ?? [], isError: true };
    },
  };
}

/** Codes that say that the server broke, not that the work was refused or failed. */
const serverFaults: ReadonlySet<Code> = new Set([
  Code.Internal,
  Code.Unknown,
  Code.DataLoss,
  Code.Unimplemented,
]);

export function isServerFault(code: Code): boolean {
  return serverFaults.has(code);
}

export function serverFault(error: ConnectError): JsonRpcError {
  const message = `${codeName(error.code)}: ${shortText(error.rawMessage)}`;
  return new JsonRpcError(errorCodes.internal, message);
}

/** Over HTTP this is the status 401. */
export function unauthenticated(error: ConnectError): JsonRpcError {
  return new JsonRpcError(errorCodes.internal, shortText(error.rawMessage), 401);
}

/**
 * Returns the failure of a call as a ConnectError.
 *
 * @throws JsonRpcError if the client is gone, or must authenticate.
 */
export function callErrorOf(thrown: unknown, signal: AbortSignal): ConnectError {
  if (thrown instanceof JsonRpcError) throw thrown;
  if (signal.aborted) throw new JsonRpcError(errorCodes.internal, "the request was cancelled");
  const error = ConnectError.from(thrown);
  if (error.code === Code.Unauthenticated) throw unauthenticated(error);
  return error;
}
