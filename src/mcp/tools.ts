import {
  type DescMethod,
  type DescMethodUnary,
  getOption,
  hasOption,
  type JsonObject,
  type Registry,
} from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { isLongRunning, type LongRunningMethod, longRunning } from "../operation/long-running.js";
import { http, Operations } from "../protos.js";
import type { Descriptions } from "./descriptions.js";
import { createSchemaWriter, type JsonSchema, type ObjectSchema } from "./message-schema.js";
import { operationOutputSchema } from "./operation-envelope.js";

/** Settings of one tool. */
export interface ToolOptions {
  /**
   * The tool's name, which must match `^[A-Za-z0-9_-]{1,48}$`. Default: `Service_Method`, with the
   * package before it if two services have the same name.
   */
  name?: string | undefined;
  /** The text that tells a model when to call the tool. Default: the comment of the method. */
  description?: string | undefined;
  /**
   * Whether a call may answer with a task (the extension io.modelcontextprotocol/tasks): `optional`
   * answers clients without the extension by a bounded wait; `required` refuses them; `never` uses
   * the bounded wait for all clients. Default: `optional`.
   */
  task?: "optional" | "required" | "never" | undefined;
}

/** Selects the methods that become tools. Returns true, false, or the settings of the tool. */
export type ToolSelection = (method: DescMethodUnary) => boolean | ToolOptions;

/** A tool as `tools/list` shows it (MCP 2026-07-28, server/tools). Some tools have a `description`. */
export type ToolDefinition = JsonObject & {
  readonly name: string;
  readonly inputSchema: ObjectSchema;
  readonly outputSchema: ObjectSchema;
  readonly annotations: {
    readonly readOnlyHint: boolean;
    readonly destructiveHint: boolean;
    readonly idempotentHint: boolean;
    readonly openWorldHint: boolean;
  };
};

/** A tool that calls one method. */
export interface MethodTool {
  readonly definition: ToolDefinition;
  readonly method: DescMethodUnary;
  /** The payload types of a long-running method; undefined for other methods. */
  readonly longRunning: LongRunningMethod | undefined;
  readonly task: "optional" | "required" | "never";
  /** Whether the response's JSON is not an object and is therefore a member called `value`. */
  readonly wrapsResponse: boolean;
}

/** Services that are not offered: their methods are the handler's own tools, or for machines. */
const infrastructure = new Set([
  Operations.typeName,
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
]);

const maxNameLength = 48;
const validName = /^[A-Za-z0-9_-]{1,48}$/;

/**
 * Makes a tool of each selected unary method.
 *
 * @throws RangeError for a name that hosts would refuse, and for two tools of one name.
 * @throws TypeError for a long-running method whose `operation_info` cannot be resolved.
 */
export function toolsOf(
  methods: Iterable<DescMethod>,
  select: ToolSelection | undefined,
  descriptions: Descriptions,
  registry: Registry,
): ReadonlyMap<string, MethodTool> {
  const selected: { method: DescMethodUnary; options: ToolOptions }[] = [];
  for (const method of methods) {
    if (!isUnary(method) || infrastructure.has(method.parent.typeName)) continue;
    const choice = select === undefined ? isLongRunning(method) : select(method);
    if (choice !== false) selected.push({ method, options: choice === true ? {} : choice });
  }
  const names = defaultNames(selected.map(({ method }) => method));
  const tools = new Map<string, MethodTool>();
  for (const { method, options } of selected) {
    const name = options.name ?? names.get(method) ?? "";
    if (!validName.test(name)) {
      throw new RangeError(
        `the tool of ${method.parent.typeName}/${method.name} is called ${JSON.stringify(name)}, ` +
          `which does not match ${validName.source}`,
      );
    }
    if (tools.has(name)) throw new RangeError(`two tools are called "${name}"`);
    tools.set(name, methodTool(name, method, options, descriptions, registry));
  }
  return tools;
}

function methodTool(
  name: string,
  method: DescMethodUnary,
  options: ToolOptions,
  descriptions: Descriptions,
  registry: Registry,
): MethodTool {
  const payloads = isLongRunning(method) ? longRunning(method, { registry }) : undefined;
  const input = createSchemaWriter("input", [method.input], descriptions);
  const inputSchema = withDefinitions(objectOf(input.root(method.input)), input.definitions());
  const { outputSchema, wrapsResponse } =
    payloads === undefined
      ? responseSchema(method, descriptions)
      : { outputSchema: operationOutputSchema(payloads, descriptions), wrapsResponse: false };
  const text = [
    options.description ?? descriptions.of(method),
    payloads === undefined ? undefined : longRunningSentence,
  ]
    .filter((part) => part !== undefined && part !== "")
    .join("\n\n");
  const description: JsonObject = text === "" ? {} : { description: text };
  return {
    method,
    longRunning: payloads,
    task: options.task ?? "optional",
    wrapsResponse,
    definition: {
      name,
      ...description,
      inputSchema,
      outputSchema,
      annotations: annotationsOf(method),
    },
  };
}

const longRunningSentence =
  "This takes a while. The answer may come before the work is done: it then has `done: false` and " +
  "`next`, the call that waits for the result. The result is kept for a limited time.";

function responseSchema(method: DescMethodUnary, descriptions: Descriptions) {
  const output = createSchemaWriter("output", [method.output], descriptions);
  const root = output.root(method.output);
  const wrapsResponse = root.type !== "object";
  const object = wrapsResponse
    ? ({ type: "object", properties: { value: root } } as const)
    : objectOf(root);
  return { outputSchema: withDefinitions(object, output.definitions()), wrapsResponse };
}

function objectOf(schema: JsonSchema): ObjectSchema {
  // If a request's JSON is not an object, such as a Timestamp, a member holds the JSON.
  return schema.type === "object"
    ? { ...schema, type: "object" }
    : {
        type: "object",
        properties: { value: schema },
        required: ["value"],
        additionalProperties: false,
      };
}

function withDefinitions(
  schema: ObjectSchema,
  definitions: Readonly<Record<string, JsonSchema>> | undefined,
): ObjectSchema {
  return definitions === undefined ? schema : { ...schema, $defs: definitions };
}

function annotationsOf(method: DescMethodUnary): ToolDefinition["annotations"] {
  const rule = hasOption(method, http) ? getOption(method, http) : undefined;
  const verb = rule?.pattern.case;
  const level = method.idempotency;
  const readOnlyHint = level === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS || verb === "get";
  return {
    readOnlyHint,
    // Without an HTTP rule, the descriptor does not show whether the method only adds.
    destructiveHint: !readOnlyHint && (verb === "delete" || verb === undefined),
    idempotentHint:
      readOnlyHint ||
      level === MethodOptions_IdempotencyLevel.IDEMPOTENT ||
      verb === "put" ||
      verb === "delete",
    openWorldHint: false,
  };
}

/** `Service_Method`; the package comes before it if two services of different packages share it. */
function defaultNames(methods: readonly DescMethodUnary[]): ReadonlyMap<DescMethodUnary, string> {
  const short = (method: DescMethodUnary) => `${method.parent.name}_${method.name}`;
  const counts = new Map<string, number>();
  for (const method of methods) counts.set(short(method), (counts.get(short(method)) ?? 0) + 1);
  return new Map(
    methods.map((method) => {
      const isUnique = counts.get(short(method)) === 1;
      const full = `${method.parent.typeName.replaceAll(".", "_")}_${method.name}`;
      return [method, shortened(isUnique ? short(method) : full)];
    }),
  );
}

/** Replaces the head of a long name by a hash, because the tail tells more. */
function shortened(name: string): string {
  if (name.length <= maxNameLength) return name;
  const head = hash(name);
  return `${head}_${name.slice(head.length + 1 - maxNameLength)}`;
}

/** FNV-1a in 32 bits: the name of a tool must be the same in each process. */
function hash(text: string): string {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193) >>> 0;
  }
  return value.toString(16).padStart(8, "0");
}

function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}
