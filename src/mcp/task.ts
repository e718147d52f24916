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

/** The parts of `createOperations` that the handler can use. */
export interface McpOperations {
  /** Aborts when the server begins to shut down. */
  readonly draining?: AbortSignal | undefined;
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
export type TaskWriter = (operation: Operation) => JsonObject;

export function createTaskWriter(envelopes: EnvelopeWriter, clock: Clock): TaskWriter {
  return (operation) => {
    const nowMs = clock.nowMs();
    const metadata = envelopes.metadataOf(operation);
    const createdMs = createTimeMsOf(operation.name, metadata) ?? nowMs;
    const updatedMs = timeMsIn(metadata, "end_time") ?? nowMs;
    const expireMs = operation.done ? timeMsIn(metadata, "expire_time") : undefined;
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
