// The methods of MCP, without a transport.
import type { DescFile, DescMethod, JsonObject, Message, Registry } from "@bufbuild/protobuf";
import type { FileDescriptorSet } from "@bufbuild/protobuf/wkt";
import { typeRegistryOf } from "../any/type-registry.js";
import { type Clock, systemClock } from "../internal/clock.js";
import { inRange, longestMs } from "../internal/option-bounds.js";
import { createMessageJson, isJsonObject } from "../json/message-json.js";
import type { ExactJsonObject } from "../json/parse-json.js";
import type { LongRunningMethod } from "../operation/long-running.js";
import { type Operation, Operations } from "../protos.js";
import { createDescriptions } from "./descriptions.js";
import { invalidParams, type JsonRpcRequest } from "./json-rpc.js";
import { createEnvelopeWriter, waitTool } from "./operation-envelope.js";
import { createOperationTools, longestWaitMs } from "./operation-tools.js";
import {
  assertModernMeta,
  declaresTasks,
  isModern,
  legacyVersions,
  type McpCall,
  metaKeys,
  methodNotFound,
  missingTasks,
  shownName,
  supportedVersions,
  tasksExtension,
} from "./protocol.js";
import { createTaskWriter, isUnguessable, type McpOperations } from "./task.js";
import { createTaskMethods, type McpMethod } from "./task-methods.js";
import { readArguments } from "./tool-arguments.js";
import { callErrorOf, createToolResults } from "./tool-results.js";
import { type MethodTool, type ToolSelection, toolsOf } from "./tools.js";
import { type Upstream, upstreamOf, waitForEnd } from "./upstream.js";

/** Settings of MCP tools. Every field may be left out. */
export interface McpOptions {
  /**
   * Selects the unary methods that become tools, and names and describes them. Default: the long-running methods alone. Streaming
   * methods and the services for operations, health and reflection are never offered.
   */
  methods?: ToolSelection | undefined;
  /**
   * Types of payloads in addition to the types of the services' files, of `operation_info`, of
   * google.rpc, and the well-known types. A payload of an unknown type is written as its URL and
   * its bytes in base64. Default: none.
   */
  registry?: Registry | undefined;
  /**
   * A descriptor set with comments (`buf build -o set.binpb`), which become descriptions.
   * Default: tools without descriptions, because generated code has no comments.
   */
  descriptors?: FileDescriptorSet | undefined;
  /** The name and version that the server reports. Default: `connect-longrunning` and no version. */
  serverInfo?: { name: string; version: string } | undefined;
  /** A hint for models on how to use the tools together. Default: a sentence on waiting. */
  instructions?: string | undefined;
  /**
   * How long the call of a long-running tool waits for the end before it answers with an operation
   * that is still running, in milliseconds, 0 to 50,000. Default: 25,000, because clients give up
   * after 60 s, and some after 30 s.
   */
  waitMs?: number | undefined;
  /** How long one call of any other method may take, in milliseconds, at least 1. Default: 50,000. */
  callTimeoutMs?: number | undefined;
  /**
   * Longest text of one result, in characters, at least 1000. A longer result is an error that names
   * the operation and the size. Default: 100,000.
   */
  maxResultLength?: number | undefined;
  /** Whether calls may answer with tasks (io.modelcontextprotocol/tasks). Default: true. */
  tasks?: boolean | undefined;
  /**
   * Whether to offer `operation_list`. It shows the operations that `authorize` lets the caller see,
   * which are all operations if the server has no `authorize`. Default: false.
   */
  listOperations?: boolean | undefined;
  /**
   * The fate of an operation whose caller disconnects during the call: it goes on, or the handler
   * asks for its cancellation. Default: `"continue"`.
   */
  onDisconnect?: "continue" | "cancel" | undefined;
  /**
   * The operations of this process's server, `createOperations(…)`: the times of tasks come from the
   * record, and subscriptions end when the server shuts down. Default: the times come from the
   * standard fields of the metadata (`create_time`, `update_time`, `end_time`, `expire_time`), and
   * subscriptions end when their clients go.
   */
  operations?: McpOperations | undefined;
  /** The time that waits and intervals use. Default: the system's clock. */
  clock?: Clock | undefined;
}

/** The methods of MCP. */
export interface McpService {
  /** Whether the service has the method of a request, in the request's generation. */
  hasMethod(request: JsonRpcRequest): boolean;
  /**
   * Answers a request with its result.
   *
   * @throws JsonRpcError for a request that cannot be answered.
   */
  answer(request: JsonRpcRequest, call: McpCall): Promise<JsonObject>;
}

/** Short enough for clients that give up after 30 seconds. */
const defaultWaitMs = 25_000;

/** How long clients may keep the list of tools, which changes with the program alone. */
const listTtlMs = 300_000;

const defaultInstructions =
  "A tool that takes a while answers with `done: false` and `next`. Make the call that `next` names " +
  `(\`${waitTool}\`) until \`done\` is true.`;

/**
 * Makes the methods of MCP for the methods of a server.
 *
 * @throws RangeError for an option out of its bounds, for names of tools that clash, and for a tool
 *   that requires tasks although they are off or its method is not long-running.
 * @throws TypeError for long-running methods without google.longrunning.Operations beside them.
 */
export function createMcpService(methods: readonly DescMethod[], options: McpOptions): McpService {
  const waitMs = inRange("waitMs", options.waitMs ?? defaultWaitMs, 0, longestWaitMs);
  const callTimeoutMs = inRange("callTimeoutMs", options.callTimeoutMs ?? 50_000, 1, longestMs);
  const maxResultLength = inRange("maxResultLength", options.maxResultLength ?? 100_000, 1000);
  const clock = options.clock ?? systemClock;
  const registry = typeRegistryOf(
    new Set<DescFile>(methods.map(({ parent }) => parent.file)),
    options.registry,
  );
  const json = createMessageJson({ registry, unknownAny: "refuse", unknownNames: "refuse" });
  const tools = toolsOf(
    methods,
    options.methods,
    createDescriptions(options.descriptors),
    registry,
  );
  const hasLongRunning = [...tools.values()].some((tool) => tool.longRunning !== undefined);
  if (hasLongRunning && !methods.some(({ parent }) => parent.typeName === Operations.typeName)) {
    throw new TypeError(
      "long-running tools need google.longrunning.Operations in the same router: call " +
        "router.service(Operations, operations.service) before the MCP handler is made",
    );
  }
  const hasTasks = (options.tasks ?? true) && hasLongRunning;
  for (const [name, { task, longRunning }] of tools) {
    if (task !== "required" || (hasTasks && longRunning !== undefined)) continue;
    const problem = longRunning === undefined ? "its method is not long-running" : "tasks are off";
    throw new RangeError(`the tool "${name}" requires tasks, but ${problem}`);
  }
  const envelopes = createEnvelopeWriter(json, registry);
  const results = createToolResults(envelopes, maxResultLength);
  const writeTask = createTaskWriter(envelopes, options.operations, clock);
  const operationTools = new Map(
    (hasLongRunning
      ? createOperationTools({
          envelopes,
          results,
          clock,
          // `waitMs: 0` means that starts do not wait. The tool `operation_wait` still waits.
          waitMs: waitMs || defaultWaitMs,
          callTimeoutMs,
          listOperations: options.listOperations ?? false,
        })
      : []
    ).map((tool) => [tool.definition.name, tool]),
  );
  for (const name of operationTools.keys()) {
    if (tools.has(name)) throw new RangeError(`a tool is called "${name}", which is reserved`);
  }

  const callMethod = async (
    { method }: MethodTool,
    args: ExactJsonObject,
    upstream: Upstream,
    { signal }: McpCall,
  ): Promise<Message> => {
    const request = readArguments(method.input, args, json);
    const { unary } = upstream.transport;
    return (await unary(method, signal, callTimeoutMs, undefined, request)).message;
  };

  const startOperation = async (
    tool: MethodTool,
    types: LongRunningMethod,
    args: ExactJsonObject,
    request: JsonRpcRequest,
    call: McpCall,
    upstream: Upstream,
  ): Promise<JsonObject> => {
    const takesTasks = hasTasks && tool.task !== "never" && declaresTasks(request);
    if (tool.task === "required" && !takesTasks) throw missingTasks();
    // The descriptor says that the method returns google.longrunning.Operation.
    const started = (await callMethod(tool, args, upstream, call)) as Operation;
    if (started.done) return results.ofOperation(started, types, "isError");
    if (takesTasks && isUnguessable(started.name)) {
      return { ...(await writeTask(started)), resultType: "task" };
    }
    if (waitMs === 0) return results.ofOperation(started, types, "isError");
    try {
      const context = { request, call, clock, envelopes };
      const latest = await waitForEnd(upstream, started.name, waitMs, context);
      return results.ofOperation(latest, types, "isError");
    } catch (error) {
      if (call.signal.aborted && options.onDisconnect === "cancel") {
        await upstream.operations.cancel(started.name, { timeoutMs: callTimeoutMs });
      }
      throw error;
    }
  };

  const callTool: McpMethod = async (request, call) => {
    const { name, arguments: args = {} } = request.params;
    if (typeof name !== "string") throw invalidParams("the parameter name is not a string");
    if (!isJsonObject(args)) throw invalidParams("the parameter arguments is not an object");
    const upstream = upstreamOf(clock, call);
    const operationTool = operationTools.get(name);
    const tool = tools.get(name);
    try {
      if (operationTool !== undefined)
        return await operationTool.run(args, request, call, upstream);
      if (tool === undefined) throw invalidParams(`there is no tool "${shownName(name)}"`);
      if (tool.longRunning !== undefined) {
        return await startOperation(tool, tool.longRunning, args, request, call, upstream);
      }
      const answer = json.write(tool.method.output, await callMethod(tool, args, upstream, call));
      return results.ofJson(
        isJsonObject(answer) && !tool.wrapsResponse ? answer : { value: answer },
      );
    } catch (thrown) {
      return results.ofError(callErrorOf(thrown, call.signal));
    }
  };

  const definitions = [...tools.values(), ...operationTools.values()].map(
    ({ definition }) => definition,
  );
  const listTools: McpMethod = ({ params }) => {
    if (params.cursor !== undefined) throw invalidParams("the cursor is not from this server");
    return { tools: definitions };
  };

  const serverInfo = { name: "connect-longrunning", version: "0", ...options.serverInfo };
  const instructions = options.instructions ?? (hasLongRunning ? defaultInstructions : undefined);
  const guidance: JsonObject = instructions === undefined ? {} : { instructions };
  const discover: McpMethod = () => ({
    supportedVersions: [...supportedVersions],
    capabilities: {
      tools: {},
      ...(hasTasks ? { extensions: { [tasksExtension]: {} } } : {}),
    },
    ...guidance,
  });
  const initialize: McpMethod = ({ params }) => ({
    protocolVersion:
      legacyVersions.find((version) => version === params.protocolVersion) ?? legacyVersions[0],
    capabilities: { tools: {} },
    serverInfo,
    ...guidance,
  });
  const cached =
    (method: McpMethod): McpMethod =>
    async (request, call) => ({
      ...(await method(request, call)),
      ttlMs: listTtlMs,
      cacheScope: "public",
    });

  const tasks = createTaskMethods({
    clock,
    writeTask,
    results,
    callTimeoutMs,
    operations: options.operations,
  });
  const modern = new Map<string, McpMethod>([
    ["server/discover", cached(discover)],
    ["tools/list", cached(listTools)],
    ["tools/call", callTool],
    ["subscriptions/listen", tasks.listen],
  ]);
  if (hasTasks) {
    modern.set("tasks/get", tasks.get);
    modern.set("tasks/update", tasks.update);
    modern.set("tasks/cancel", tasks.cancel);
  }
  const legacy = new Map<string, McpMethod>([
    ["initialize", initialize],
    ["ping", () => ({})],
    ["tools/list", listTools],
    ["tools/call", callTool],
  ]);
  const methodOf = (request: JsonRpcRequest) =>
    (isModern(request) ? modern : legacy).get(request.method);

  return {
    hasMethod: (request) => methodOf(request) !== undefined,
    async answer(request, call) {
      if (isModern(request)) assertModernMeta(request);
      const method = methodOf(request);
      if (method === undefined) throw methodNotFound(request.method);
      const result = await method(request, call);
      if (!isModern(request)) return result;
      const meta = isJsonObject(result._meta) ? result._meta : {};
      return {
        resultType: "complete",
        ...result,
        _meta: { ...meta, [metaKeys.serverInfo]: serverInfo },
      };
    },
  };
}
