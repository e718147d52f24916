import type { JsonObject } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { operationStates } from "../client/operation-states.js";
import type { Clock } from "../internal/clock.js";
import { isJsonObject } from "../json/message-json.js";
import type { Operation } from "../protos.js";
import { codeName } from "../status/code.js";
import { errorCodes, invalidParams, JsonRpcError, type JsonRpcRequest } from "./json-rpc.js";
import { errorOf } from "./operation-envelope.js";
import { declaresTasks, type McpCall, metaKeys, missingTasks } from "./protocol.js";
import { isUnguessable, type McpOperations, type TaskWriter } from "./task.js";
import { isServerFault, serverFault, type ToolResults, unauthenticated } from "./tool-results.js";
import { type Upstream, upstreamOf } from "./upstream.js";

/** Most ids in one subscription. */
const maxTaskIds = 100;
/**
 * Most subscriptions at a time that follow tasks, and most others. They are counted apart, because a
 * caller needs a task of its own to follow one, and every caller can subscribe to nothing.
 */
const maxListenStreams = 64;

export interface TaskMethodDeps {
  readonly clock: Clock;
  readonly writeTask: TaskWriter;
  readonly results: ToolResults;
  readonly callTimeoutMs: number;
  /** The server, which says when it shuts down; undefined if that is not known. */
  readonly operations: McpOperations | undefined;
}

/** A method of MCP. */
export type McpMethod = (
  request: JsonRpcRequest,
  call: McpCall,
) => JsonObject | Promise<JsonObject>;

/** Returns the methods of tasks, and the subscriptions to them. */
export function createTaskMethods(deps: TaskMethodDeps) {
  const { clock, results, callTimeoutMs } = deps;
  const listenStreams = { following: 0, idle: 0 };
  /** Counts a subscription until the returned function is called. */
  const enterStream = (kind: keyof typeof listenStreams): (() => void) => {
    if (listenStreams[kind] >= maxListenStreams) {
      const problem = `${maxListenStreams} subscriptions are open, which is the limit`;
      throw new JsonRpcError(errorCodes.internal, problem, 503);
    }
    listenStreams[kind] += 1;
    return () => {
      listenStreams[kind] -= 1;
    };
  };

  const readTask = async (
    taskId: string,
    { operations }: Upstream,
    { signal }: McpCall,
  ): Promise<Operation | undefined> => {
    if (!isUnguessable(taskId)) return undefined;
    try {
      return await operations.get(taskId, { signal, timeoutMs: callTimeoutMs });
    } catch (thrown) {
      return hiddenOrThrow(thrown, "read");
    }
  };

  const requested = async (request: JsonRpcRequest, call: McpCall) => {
    if (!declaresTasks(request)) throw missingTasks();
    const { taskId } = request.params;
    if (typeof taskId !== "string") throw invalidParams("the parameter taskId is not a string");
    const upstream = upstreamOf(clock, call);
    const operation = await readTask(taskId, upstream, call);
    if (operation === undefined) throw unknownTask();
    return { operation, upstream };
  };

  /** A task with its result or its error. */
  const detailed = async (operation: Operation): Promise<JsonObject> => {
    const task = await deps.writeTask(operation);
    const error = errorOf(operation);
    if (error !== undefined && isServerFault(error.code)) {
      const { code, message } = serverFault(error);
      return { ...task, status: "failed", error: { code, message } };
    }
    if (task.status !== "completed") return task;
    // The inlined result needs a resultType, because clients refuse a result without one.
    const result = results.ofOperation(operation, undefined, "isError");
    return { ...task, result: { resultType: "complete", ...result } };
  };

  const get: McpMethod = async (request, call) => {
    const { operation } = await requested(request, call);
    return detailed(operation);
  };

  /** Operations never ask for input, so that there is nothing to update. */
  const update: McpMethod = async (request, call) => {
    await requested(request, call);
    return {};
  };

  const cancel: McpMethod = async (request, call) => {
    const { operation, upstream } = await requested(request, call);
    const callOptions = { signal: call.signal, timeoutMs: callTimeoutMs };
    try {
      await upstream.operations.cancel(operation.name, callOptions);
    } catch (thrown) {
      const { code } = ConnectError.from(thrown);
      // The response only acknowledges the request: work that cannot be cancelled continues.
      const isRefused = code === Code.FailedPrecondition || code === Code.Unimplemented;
      if (!isRefused) {
        hiddenOrThrow(thrown, "cancelled");
        throw unknownTask();
      }
    }
    return {};
  };

  const listen: McpMethod = async (request, call) => {
    const { notify } = call;
    if (notify === undefined) {
      const problem = "the client must accept text/event-stream";
      throw new JsonRpcError(errorCodes.invalidRequest, problem, 406);
    }
    const taskIds = taskIdsOf(request);
    const upstream = upstreamOf(clock, call);
    const found = await Promise.all(taskIds.map((id) => readTask(id, upstream, call)));
    const names = found.flatMap((operation) => (operation === undefined ? [] : [operation.name]));
    const leaveStream = enterStream(names.length > 0 ? "following" : "idle");
    try {
      const meta = { [metaKeys.subscription]: request.id };
      notify({
        jsonrpc: "2.0",
        method: "notifications/subscriptions/acknowledged",
        params: { _meta: meta, notifications: names.length > 0 ? { taskIds: names } : {} },
      });
      const draining = deps.operations?.draining;
      const signal =
        draining === undefined ? call.signal : AbortSignal.any([call.signal, draining]);
      const notifyOf = async (name: string) => {
        const states = operationStates(upstream.operations, name, {
          clock,
          signal,
          timeoutMs: undefined,
        });
        for await (const operation of states) {
          const params = { ...(await detailed(operation)), _meta: meta };
          notify({ jsonrpc: "2.0", method: "notifications/tasks", params });
        }
      };
      // If a task can no longer be read, its notifications end. The client then polls the task and
      // receives the error.
      await Promise.all(names.map((name) => notifyOf(name).catch(() => undefined)));
      // Without a task the stream has no event, and ends when the client or the server ends it.
      if (names.length === 0) await aborted(signal);
      return { _meta: meta };
    } finally {
      leaveStream();
    }
  };

  return { get, update, cancel, listen };
}

function taskIdsOf(request: JsonRpcRequest): string[] {
  const { notifications = {} } = request.params;
  if (!isJsonObject(notifications)) {
    throw invalidParams("the parameter notifications is not an object");
  }
  const { taskIds = [] } = notifications;
  if (!Array.isArray(taskIds)) throw invalidParams("notifications.taskIds is not an array");
  if (taskIds.length > 0 && !declaresTasks(request)) throw missingTasks();
  if (taskIds.length > maxTaskIds) {
    throw invalidParams(`notifications.taskIds has more than ${maxTaskIds} ids`);
  }
  const ids = new Set<string>();
  for (const id of taskIds) {
    if (typeof id !== "string")
      throw invalidParams("notifications.taskIds has an id that is no string");
    ids.add(id);
  }
  return [...ids];
}

/** One wording for unknown, expired and foreign tasks, so that callers cannot tell them apart. */
function unknownTask(): JsonRpcError {
  return invalidParams("there is no such task");
}

/**
 * Returns undefined for an error that says that the caller has no such operation.
 *
 * @throws JsonRpcError for any other error.
 */
function hiddenOrThrow(thrown: unknown, verb: string): undefined {
  const error = ConnectError.from(thrown);
  switch (error.code) {
    case Code.NotFound:
    case Code.PermissionDenied:
    case Code.InvalidArgument:
      return undefined;
    case Code.Unauthenticated:
      throw unauthenticated(error);
    default:
      throw new JsonRpcError(
        errorCodes.internal,
        `the task could not be ${verb}: ${codeName(error.code)}`,
      );
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
