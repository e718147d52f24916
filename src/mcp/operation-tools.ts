// The tools that follow operations. Every service has the same tools.
import type { JsonObject } from "@bufbuild/protobuf";
import type { Clock } from "../internal/clock.js";
import type { ExactJsonObject } from "../json/parse-json.js";
import { createDescriptions } from "./descriptions.js";
import { argumentInvalid } from "./errors.js";
import type { JsonRpcRequest } from "./json-rpc.js";
import type { ObjectSchema } from "./message-schema.js";
import { type EnvelopeWriter, operationOutputSchema, waitTool } from "./operation-envelope.js";
import type { McpCall } from "./protocol.js";
import type { ToolResults } from "./tool-results.js";
import type { ToolDefinition } from "./tools.js";
import { type Upstream, waitForEnd } from "./upstream.js";

/** Longest that `operation_wait` holds a call, in milliseconds: clients give up after 60 s. */
export const longestWaitMs = 50_000;

/** Most operations in one answer of `operation_list`. */
const maxPageSize = 50;

/** A tool that calls the Operations service. */
export interface OperationTool {
  readonly definition: ToolDefinition;
  run(
    args: ExactJsonObject,
    request: JsonRpcRequest,
    call: McpCall,
    upstream: Upstream,
  ): Promise<JsonObject>;
}

export interface OperationToolDeps {
  readonly envelopes: EnvelopeWriter;
  readonly results: ToolResults;
  readonly clock: Clock;
  /** How long `operation_wait` waits by default, in milliseconds. */
  readonly waitMs: number;
  /** How long one call may take, in milliseconds. */
  readonly callTimeoutMs: number;
  /** Whether to offer `operation_list`. */
  readonly listOperations: boolean;
}

export function createOperationTools(deps: OperationToolDeps): OperationTool[] {
  const { envelopes, results, clock, waitMs, callTimeoutMs } = deps;
  const outputSchema = operationOutputSchema(undefined, createDescriptions(undefined));
  const operation = { type: "string", description: "The operation's name, as a tool answered it." };
  const callOptions = ({ signal }: McpCall) => ({ signal, timeoutMs: callTimeoutMs });

  const get: OperationTool = {
    definition: definition(
      "operation_get",
      "Show the state of an operation: whether it is done, its progress, its result.",
      inputOf({ operation }),
      outputSchema,
      true,
    ),
    async run(args, _request, call, { operations }) {
      const name = operationIn(args, ["operation"]);
      const found = await operations.get(name, callOptions(call));
      return results.ofOperation(found, undefined, "isShown");
    },
  };

  const wait: OperationTool = {
    definition: definition(
      waitTool,
      "Wait for the end of an operation. If the answer has `done: false`, call this again.",
      inputOf({
        operation,
        seconds: {
          type: "number",
          minimum: 0,
          description:
            `How long to wait, at most ${longestWaitMs / 1000} seconds. ` +
            `Default: ${waitMs / 1000}.`,
        },
      }),
      outputSchema,
      true,
    ),
    async run(args, request, call, upstream) {
      const name = operationIn(args, ["operation", "seconds"]);
      const { seconds = waitMs / 1000 } = args;
      if (typeof seconds !== "number" || seconds < 0) {
        throw argumentInvalid("seconds", "is not a number of at least 0");
      }
      const timeoutMs = Math.min(seconds * 1000, longestWaitMs);
      const context = { request, call, clock, envelopes };
      const latest = await waitForEnd(upstream, name, timeoutMs, context);
      return results.ofOperation(latest, undefined, "isError");
    },
  };

  const cancel: OperationTool = {
    definition: definition(
      "operation_cancel",
      "Ask for the cancellation of an operation. It may still end with its result.",
      inputOf({ operation }),
      outputSchema,
      false,
    ),
    async run(args, _request, call, { operations }) {
      const name = operationIn(args, ["operation"]);
      await operations.cancel(name, callOptions(call));
      const after = await operations.get(name, callOptions(call));
      return results.ofOperation(after, undefined, "isShown");
    },
  };

  const list: OperationTool = {
    definition: definition(
      "operation_list",
      "List operations, without their responses.",
      {
        type: "object",
        properties: {
          parent: { type: "string", description: "Default: operations without a parent." },
          filter: {
            type: "string",
            description: 'A filter by AIP-160, such as "done = false". Default: all operations.',
          },
          pageSize: {
            type: "integer",
            minimum: 1,
            maximum: maxPageSize,
            description: `Most operations in the answer. Default: ${maxPageSize}.`,
          },
          pageToken: { type: "string", description: "`nextPageToken` of the previous answer." },
        },
        additionalProperties: false,
      },
      {
        type: "object",
        properties: {
          operations: { type: "array", items: outputSchema },
          nextPageToken: { type: "string", description: "Absent on the last page." },
        },
        required: ["operations"],
      },
      true,
    ),
    async run(args, _request, call, upstream) {
      assertKnown(args, ["parent", "filter", "pageSize", "pageToken"]);
      const { pageSize = maxPageSize } = args;
      if (typeof pageSize !== "number" || !Number.isInteger(pageSize) || pageSize < 1) {
        throw argumentInvalid("pageSize", "is not an integer of at least 1");
      }
      const request = {
        name: textIn(args, "parent"),
        filter: textIn(args, "filter"),
        pageToken: textIn(args, "pageToken"),
        pageSize: Math.min(pageSize, maxPageSize),
      };
      for await (const page of upstream.operations.list(request, callOptions(call)).pages()) {
        const answer = {
          operations: page.operations.map((one) => {
            const { response: _, ...envelope } = envelopes.ofOperation(one, undefined);
            return envelope;
          }),
          ...(page.nextPageToken === "" ? {} : { nextPageToken: page.nextPageToken }),
        };
        return results.ofJson(answer, `the page of ${page.operations.length} operations`);
      }
      return results.ofJson({ operations: [] });
    },
  };

  return [get, wait, cancel, ...(deps.listOperations ? [list] : [])];
}

function definition(
  name: string,
  description: string,
  inputSchema: ObjectSchema,
  outputSchema: ObjectSchema,
  isReadOnly: boolean,
): ToolDefinition {
  return {
    name,
    description,
    inputSchema,
    outputSchema,
    annotations: {
      readOnlyHint: isReadOnly,
      destructiveHint: !isReadOnly,
      idempotentHint: true,
      openWorldHint: false,
    },
  };
}

function inputOf(properties: JsonObject): ObjectSchema {
  return { type: "object", properties, required: ["operation"], additionalProperties: false };
}

function operationIn(args: ExactJsonObject, known: readonly string[]): string {
  assertKnown(args, known);
  const name = textIn(args, "operation");
  if (name === "") throw argumentInvalid("operation", "is not the name of an operation");
  return name;
}

function textIn(args: ExactJsonObject, field: string): string {
  const { [field]: value = "" } = args;
  if (typeof value !== "string") throw argumentInvalid(field, "is not a string");
  return value;
}

function assertKnown(args: ExactJsonObject, known: readonly string[]): void {
  const unknown = Object.keys(args).find((name) => !known.includes(name));
  if (unknown !== undefined) throw argumentInvalid(unknown, "is not a field");
}
