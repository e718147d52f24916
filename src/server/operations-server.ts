import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { ConnectError, HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Clock } from "../internal/clock.js";
import type { CloseOptions, ClosingState } from "../internal/closing.js";
import type { Logger } from "../internal/event-log.js";
import type { LongRunningMethod } from "../operation/long-running.js";
import type { Operation, Operations } from "../protos.js";
import type { Dispatcher } from "../store/dispatcher.js";
import type { OperationStore } from "../store/operation-store.js";
import type { Signals } from "../store/signals.js";
import type { Authorize } from "./authorize.js";
import type { OperationsEvent } from "./events.js";
import type { CreateOptions, DeleteRunning, MethodOptions } from "./method-options.js";
import type { OperationsObserver } from "./observer.js";
import type { Work } from "./work.js";

/** Options of an operations server. All fields are optional. */
export interface OperationsOptions {
  /** Keeps the operations. Default: this process's memory. */
  store?: OperationStore | undefined;
  /** Decides which process runs an operation. Default: a queue in this process, 100 at a time. */
  dispatcher?: Dispatcher | undefined;
  /** Notifies processes of changes of operations. Default: within this process. */
  signals?: Signals | undefined;
  /**
   * Decides on every start, get, list, wait, cancel and delete over the network. The program's own
   * calls (`start`, `create`, `report`, `succeed`, `fail`) are not checked. Default: every caller
   * may do everything.
   */
  authorize?: Authorize | undefined;
  /**
   * How long an operation is kept after its end, in milliseconds, at least 0. An operation that is
   * not done is never removed. Default: 30 days (AIP-151).
   */
  retentionMs?: number | undefined;
  /**
   * How long after its start an operation ends with DEADLINE_EXCEEDED, reason
   * `OPERATION_DEADLINE_EXCEEDED`, if it is not done, in milliseconds, at least 0. Later writes of
   * its work have no effect. Default: never.
   */
  deadlineMs?: number | undefined;
  /** Whether the service has CancelOperation. If not, it is UNIMPLEMENTED. Default: true. */
  cancellation?: boolean | undefined;
  /** How DeleteOperation treats an operation that is not done. Default: hide (operations.proto). */
  deleteRunning?: DeleteRunning | undefined;
  /**
   * The longest time for which one WaitOperation call is held until it is answered with the latest
   * state, in milliseconds, at least 0. Default: 25,000, which is less than most proxies allow. Set
   * 12,000 behind Envoy's route timeout or ESPv2, which cut calls after 15 s.
   */
  maxWaitMs?: number | undefined;
  /**
   * How many bytes the operations of one page of a list have at most, at least 1. A page ends early
   * at this bound and has a page token (AIP-158); an operation that is larger has a page of its own.
   * Default: 3.5 MiB, because gRPC clients refuse messages above 4 MiB unless told otherwise.
   */
  maxPageBytes?: number | undefined;
  /** Minimum time between two writes of one operation's metadata, in milliseconds. Default: 100. */
  reportIntervalMs?: number | undefined;
  /**
   * How many attempts of one operation may be lost until it ends ABORTED, reason
   * `WORKER_LOST`. At least 1. Default: 10.
   *
   * An attempt that a shutdown returns to the queue is not lost.
   */
  maxLostAttempts?: number | undefined;
  /**
   * The 32 secret bytes that seal page tokens. Replicas with the same key accept each other's
   * tokens. Default: random bytes, for this process only.
   */
  pageTokenKey?: Uint8Array | undefined;
  /**
   * Called with each problem of the server, or a logger (pino, `console`) that `createLog` writes to.
   * Default: `createLog()`, one line for each event on standard error.
   */
  log?: ((event: OperationsEvent) => void) | Logger | undefined;
  /** Called for starts, runs and ends, for traces and metrics. Default: none. */
  observer?: OperationsObserver | undefined;
  /** Measures time for deadlines, retention and waits. Default: the machine's clock. */
  clock?: Clock | undefined;
}

/** The handler of a unary method that starts an operation. */
export type StartHandler<I extends DescMessage> = (
  request: MessageShape<I>,
  context: HandlerContext,
) => Promise<Operation>;

/** The times in the record of an operation, in milliseconds since the Unix epoch. */
export interface OperationTimes {
  readonly createTimeMs: number;
  /** The last change: of the metadata, of a request to cancel, or the end. */
  readonly updateTimeMs: number;
  /** When the record is removed; undefined until the operation is done. */
  readonly expireTimeMs: number | undefined;
}

/** An operations server, embedded in a program or a test. */
export interface OperationsServer {
  /** The five methods: `router.service(Operations, operations.service)`. */
  readonly service: ServiceImpl<typeof Operations>;
  /** Where the server is between serving and closed. */
  readonly state: ClosingState;
  /** Aborts when the server begins to shut down: health should be NOT_SERVING from then on. */
  readonly draining: AbortSignal;
  /**
   * Serves a long-running method. The handler responds with a new Operation, and `work` runs in the
   * background, after the response is sent. A request whose `request_id` the server has seen from
   * the same principal and parent gets the operation that it started then (AIP-155). A request id is
   * kept for the retention, and for at least ten minutes.
   *
   * @throws TypeError if the method is handled already; RangeError for an option out of its bounds.
   */
  handle<I extends DescMessage, R extends DescMessage, M extends DescMessage, C = Uint8Array>(
    method: LongRunningMethod<I, R, M>,
    work: Work<I, R, M, C>,
    options?: MethodOptions<I, R, C>,
  ): StartHandler<I>;
  /**
   * Starts an operation of a method whose work runs in a process that `handle`s it.
   *
   * @throws ConnectError `Unavailable` while the server shuts down,
   *   `InvalidArgument` for a bad parent or name or a reused request id,
   *   `AlreadyExists` for a name that is in use, `Aborted` for a resource that is busy,
   *   `ResourceExhausted` if the store or the queue is full.
   */
  start<I extends DescMessage, R extends DescMessage>(
    method: LongRunningMethod<I, R>,
    request: MessageInitShape<I>,
    options?: CreateOptions,
  ): Promise<Operation>;
  /**
   * Starts an external operation, whose work runs outside this server: in a job, a queue consumer
   * or a webhook. It is running until `succeed` or `fail` ends it. Throws the errors of `start`.
   */
  create<I extends DescMessage, R extends DescMessage>(
    method: LongRunningMethod<I, R>,
    request: MessageInitShape<I>,
    options?: CreateOptions,
  ): Promise<Operation>;
  /**
   * Sets the metadata of an external operation. Returns whether a client has asked to cancel it.
   *
   * @throws ConnectError `NotFound`; `FailedPrecondition` if the operation is done, is not external,
   *   or was started by another method.
   */
  report<M extends DescMessage>(
    method: LongRunningMethod<DescMessage, DescMessage, M>,
    name: string,
    metadata: MessageInitShape<M>,
  ): Promise<{ cancelRequested: boolean }>;
  /** Ends an external operation with its response. Throws the errors of `report`. */
  succeed<R extends DescMessage>(
    method: LongRunningMethod<DescMessage, R>,
    name: string,
    response: MessageInitShape<R>,
  ): Promise<Operation>;
  /**
   * Ends an external operation with an error. An error of `Code.Canceled` is the response to a
   * request to cancel. Throws the errors of `report`.
   */
  fail(name: string, error: ConnectError): Promise<Operation>;
  /**
   * Returns the times of an operation, whatever fields its metadata has; undefined if there is no such
   * operation. Like all calls of the program it is not checked by `authorize`.
   *
   * @throws ConnectError of the store, such as `Unavailable`.
   */
  timesOf(name: string): Promise<OperationTimes | undefined>;
  /**
   * Reads from the store, for health checks: `createServer({ health: { check: operations.checkStore } })`.
   *
   * @throws ConnectError `Unavailable` while the store does not respond.
   */
  checkStore(): Promise<void>;
  /**
   * Shuts the server down, and closes its store, dispatcher and signals:
   *
   * 1. `not-ready`, for `drainDelayMs`: `draining` has aborted, starts are still accepted.
   * 2. `draining`, until nothing runs and at most to the end of the grace: starts fail with
   *    UNAVAILABLE, waits are held until their operation ends, and the work runs on.
   * 3. `handing-over`, at most 0.6 s: the signals of the remaining work abort, its operations are
   *    queued again, and the remaining waits are answered with the latest state. If the store is
   *    not durable, operations with waits end ABORTED, reason `SERVER_CLOSED`.
   * 4. `closed`: the store's methods fail with UNAVAILABLE.
   *
   * Resolves at most one second after the grace, even if the database does not respond. Call it
   * before you close the HTTP server. Calling it again joins the first call, and shortens its grace.
   *
   * @throws RangeError for a time out of its bounds.
   */
  shutdown(options?: CloseOptions): Promise<void>;
}
