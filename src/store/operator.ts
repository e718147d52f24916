import type { OperationState, TraceContext } from "./operation-store.js";

/*
 * The view of operators, beyond the view of callers: records of all callers, including hidden and
 * expired ones, with their attempts. It is plain data without payloads, because it is
 * also the export for a bug report.
 */

/** Why an attempt was lost. */
export type LossCause =
  /** The process gave no sign of life: it was killed, suspended or cut off. */
  | "no-sign-of-life"
  /** The process has ended without a shutdown. */
  | "process-ended"
  /** The process shut down, and the work went on after the grace. */
  | "shutdown"
  /** The event loop of the process was blocked, or the process was suspended. */
  | "event-loop-stalled"
  /** The process was alive, and none of its renewals reached the database. */
  | "database-unreachable"
  /** The process was alive, and its lease was over. */
  | "lease-expired"
  /** An operator took the operation away. */
  | "requeued"
  /** The program that ran the attempt, or the program that took over, did not note it. */
  | "unknown";

/**
 * An attempt that was lost, and whose operation another attempt has taken over. Times are
 * microseconds since the Unix epoch.
 */
export interface LostAttempt {
  readonly attempt: number;
  /** The process that ran it, `{host}:{process id}:{hex}`; null if it is not known. */
  readonly owner: string | null;
  readonly claimTimeMicros: number | null;
  /** When the next attempt took over. */
  readonly lossTimeMicros: number;
  /** The last sign of life of the owner before that; null if it is not known. */
  readonly seenTimeMicros: number | null;
  readonly cause: LossCause;
  /** More about the cause, such as the length of a stall; empty if there is no more. */
  readonly detail: string;
}

/** The place of an open operation in the queue. */
export interface InspectedDelivery {
  /**
   * `queued`: a process may take it; `delayed`: not before `dueTimeMicros`; `running`: a process has
   * it; `none`: the queue does not know it, so that no process will run it until it is queued again.
   */
  readonly state: "queued" | "delayed" | "running" | "none";
  readonly dueTimeMicros: number | null;
  /** The last renewal of the lease; null if the delivery is not running. */
  readonly renewTimeMicros: number | null;
}

/** The type and the size of a payload, without its content. */
export interface InspectedPayload {
  /** The type URL of an Any; empty if it is another message. */
  readonly typeUrl: string;
  readonly bytes: number;
}

/** One operation with its attempts. */
export interface OperationInspection {
  readonly name: string;
  readonly parent: string;
  readonly method: string;
  readonly principal: string;
  readonly external: boolean;
  readonly state: OperationState;
  readonly attempt: number;
  readonly handovers: number;
  readonly losses: number;
  /** The process that claimed the present attempt; null if no attempt was claimed or it is not known. */
  readonly owner: string | null;
  readonly claimTimeMicros: number | null;
  /** The last sign of life of the owner; null if it is not known. */
  readonly ownerSeenTimeMicros: number | null;
  /** The last 20, oldest first. */
  readonly lostAttempts: readonly LostAttempt[];
  /**
   * Its place in the queue; null if the operation is done, blocked or external, or if the queue is
   * not kept in the database.
   */
  readonly delivery: InspectedDelivery | null;
  /** The AIP-155 request id; null if the start did not have one. */
  readonly requestId: string | null;
  readonly resourceKey: string | null;
  readonly traceContext: TraceContext | null;
  readonly retentionMs: number;
  readonly createTimeMicros: number;
  readonly updateTimeMicros: number;
  readonly deadlineTimeMicros: number | null;
  readonly cancelRequestTimeMicros: number | null;
  readonly endTimeMicros: number | null;
  readonly expireTimeMicros: number | null;
  readonly deleteTimeMicros: number | null;
  /** The google.rpc.Code and the message of an operation that failed; null otherwise. */
  readonly error: { readonly code: number; readonly message: string } | null;
  readonly request: InspectedPayload;
  readonly metadata: InspectedPayload | null;
  readonly checkpoint: InspectedPayload | null;
  readonly response: InspectedPayload | null;
}

/** The outcome of a request to queue an operation again. Only `requeued` has changed something. */
export type RequeueOutcome =
  /** It is queued, and a process that handles its method takes it. */
  | { readonly kind: "requeued" }
  /** It is in the queue already, and due. */
  | { readonly kind: "already-queued" }
  /** A process runs it and has renewed its lease. `force` takes it away. */
  | {
      readonly kind: "running";
      readonly owner: string | null;
      readonly renewTimeMicros: number | null;
    }
  /** It waits for its resource, which another operation uses. */
  | { readonly kind: "blocked"; readonly by: string }
  | { readonly kind: "done" }
  /** Its work runs outside the server. */
  | { readonly kind: "external" }
  /** No process has handled its method yet, so there is no queue. */
  | { readonly kind: "never-handled"; readonly method: string }
  | { readonly kind: "not-found" };

/** An operation that a process runs. */
export interface RunningOperationReport {
  readonly name: string;
  readonly method: string;
  readonly attempt: number;
  /** When the process claimed it; null if the process has not claimed it yet, or it is not known. */
  readonly claimTimeMicros: number | null;
  /** The last renewal of its lease; null if there is no lease. */
  readonly renewTimeMicros: number | null;
}

/** A process that runs operations. */
export interface WorkerReport {
  /** Its id; null for the operations of programs that note no owner. */
  readonly id: string | null;
  readonly host: string;
  readonly processId: number | null;
  readonly startTimeMicros: number | null;
  /**
   * The last sign of life. A process that runs operations gives one each third of a lease, an idle
   * one each 30 s.
   */
  readonly seenTimeMicros: number | null;
  /** When it shut down; null before. */
  readonly stopTimeMicros: number | null;
  readonly leaseMs: number | null;
  /** Whether it gave no sign of life for longer than it should. */
  readonly isSilent: boolean;
  readonly running: readonly RunningOperationReport[];
}

/** Inspects operations and their processes, and queues operations again. */
export interface OperationsOperator {
  /** Resolves with undefined if there is no such record. */
  inspect(name: string): Promise<OperationInspection | undefined>;
  /** @param force Whether an operation that a living process runs is taken away from it. */
  requeue(name: string, force: boolean): Promise<RequeueOutcome>;
  /** The processes that are alive, or whose operations were not taken over yet. */
  workers(): Promise<readonly WorkerReport[]>;
}
