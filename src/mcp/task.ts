// An operation as a task of io.modelcontextprotocol/tasks (ext-tasks, specification/draft/tasks).
import type { JsonObject } from "@bufbuild/protobuf";
import { validate, version } from "uuid";
import {
  createTimeMsOf,
  type OperationStatus,
  statusOf,
  timeMsIn,
} from "../display/operation-summary.js";
import type { Clock } from "../internal/clock.js";
import type { Operation } from "../protos.js";
import type { EnvelopeWriter } from "./operation-envelope.js";
import { messageOf, shortText } from "./progress-notifier.js";

/** Times of an operation, in milliseconds since the Unix epoch. */
export interface TaskTimes {
  readonly createTimeMs: number;
  readonly updateTimeMs: number;
  /** When the operation is removed; undefined until it is done. */
  readonly expireTimeMs: number | undefined;
}

/** The parts of `createOperations` that the handler can use. */
export interface McpOperations {
  /** Aborts when the server begins to shut down. */
  readonly draining?: AbortSignal | undefined;
  /** Returns the times of an operation's record; undefined if there is no such record. */
  timesOf?(name: string): Promise<TaskTimes | undefined>;
}

/** The states of tasks that operations can have. */
const taskStatus: Readonly<Record<OperationStatus, string>> = {
  running: "working",
  succeeded: "completed",
  // A failure of the work is a result for the model; `failed` is for protocol errors alone.
  failed: "completed",
  cancelled: "cancelled",
};

/** Intervals for clients that poll: short at first, because most work is short. */
const firstPollIntervalMs = 1000;
const laterPollIntervalMs = 5000;
const firstMinuteMs = 60_000;

/** Returns the task of an operation, without its result. */
export type TaskWriter = (operation: Operation) => Promise<JsonObject>;

/**
 * Makes a writer of tasks. Their times come from the record if the server of the operations is in
 * this process, else from the standard fields of the metadata.
 */
export function createTaskWriter(
  envelopes: EnvelopeWriter,
  operations: McpOperations | undefined,
  clock: Clock,
): TaskWriter {
  const recordedTimesOf = async (name: string): Promise<TaskTimes | undefined> => {
    try {
      return await operations?.timesOf?.(name);
    } catch {
      // The client must get the task, even if the store fails at this second read.
      return undefined;
    }
  };

  return async (operation) => {
    const recorded = await recordedTimesOf(operation.name);
    const nowMs = clock.nowMs();
    const metadata = envelopes.metadataOf(operation);
    const createdMs = recorded?.createTimeMs ?? createTimeMsOf(operation.name, metadata) ?? nowMs;
    const updatedMs =
      recorded?.updateTimeMs ??
      timeMsIn(metadata, "update_time") ??
      timeMsIn(metadata, "end_time") ??
      nowMs;
    const expireMs = operation.done
      ? (recorded?.expireTimeMs ?? timeMsIn(metadata, "expire_time"))
      : undefined;
    const message = statusMessageOf(operation, envelopes);
    const isYoung = nowMs - createdMs < firstMinuteMs;
    return {
      taskId: operation.name,
      status: taskStatus[statusOf(operation)],
      ...(message === undefined ? {} : { statusMessage: message }),
      createdAt: new Date(createdMs).toISOString(),
      lastUpdatedAt: new Date(updatedMs).toISOString(),
      ttlMs: expireMs === undefined ? null : Math.max(0, Math.ceil(expireMs - createdMs)),
      ...(operation.done
        ? {}
        : { pollIntervalMs: isYoung ? firstPollIntervalMs : laterPollIntervalMs }),
    };
  };
}

function statusMessageOf(operation: Operation, envelopes: EnvelopeWriter): string | undefined {
  const { done, result } = operation;
  if (done && result.case === "error") return shortText(result.value.message);
  return messageOf(envelopes.progressOf(operation));
}

/**
 * Whether the last segment of a name is a random UUID (version 4 or 7). Servers must generate task
 * ids that cannot be guessed (ext-tasks, Security Considerations).
 */
export function isUnguessable(name: string): boolean {
  const id = name.slice(name.lastIndexOf("/") + 1);
  return validate(id) && [4, 7].includes(version(id));
}
