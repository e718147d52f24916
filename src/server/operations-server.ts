import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { ConnectError, HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Clock } from "../internal/clock.js";
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

/** How an operations server keeps, runs and answers. Every field may be left out. */
export interface OperationsOptions {
  /** Where operations live. Default: this process's memory. */
  store?: OperationStore | undefined;
  /** Who runs what. Default: a queue in this process, 100 side by side. */
  dispatcher?: Dispatcher | undefined;
  /** Word of what happened. Default: within this process. */
  signals?: Signals | undefined;
  /**
   * Decides on every start, get, list, wait, cancel and delete over the network; what the
   * program itself starts, reports and ends asks nobody. Default: everybody may do
   * everything.
   */
  authorize?: Authorize | undefined;
  /**
   * How long an operation is kept after its end, in milliseconds, at least 0. A
   * running one is never removed. Default: 30 days (AIP-151).
   */
  retentionMs?: number | undefined;
  /**
   * How long after its start an operation is ended with DEADLINE_EXCEEDED, reason
   * `OPERATION_DEADLINE_EXCEEDED`, if it is not done, in milliseconds, at least 0; what
   * its work writes later is void. Default: never.
   */
  deadlineMs?: number | undefined;
  /** Whether there is CancelOperation; if not, it is UNIMPLEMENTED. Default: true. */
  cancellation?: boolean | undefined;
  /** What becomes of a running operation that is deleted. Default: hide, as operations.proto has it. */
  deleteRunning?: DeleteRunning | undefined;
  /**
   * The longest time that one WaitOperation call is held before it is answered
   * with the latest state, in milliseconds, at least 0. Default: 60,000, which most
   * proxies and load balancers let pass.
   */
  maxWaitMs?: number | undefined;
  /** Least time between two writes of one operation's metadata, in milliseconds. Default: 100. */
  reportIntervalMs?: number | undefined;
  /**
   * How many attempts of one operation may be lost until it ends ABORTED, reason
   * `WORKER_LOST`. At least 1. Default: 10.
   *
   * An attempt that a shutdown returns to the queue is not lost.
   */
  maxLostAttempts?: number | undefined;
  /**
   * The 32 secret bytes that page tokens are sealed with; replicas that share them
   * take each other's tokens. Default: random ones, for this process alone.
   */
  pageTokenKey?: Uint8Array | undefined;
  /** Hears of what went wrong on this side. Default: prints it to standard error. */
  log?: ((event: OperationsEvent) => void) | undefined;
  /** Hears of starts, runs and ends, for traces and metrics. Default: nobody does. */
  observer?: OperationsObserver | undefined;
  /** Default: the machine's clock. */
  clock?: Clock | undefined;
}

/** The handler of a unary method that starts an operation. */
export type StartHandler<I extends DescMessage> = (
  request: MessageShape<I>,
  context: HandlerContext,
) => Promise<Operation>;

/** An operations server, embedded in a program or a test. */
export interface OperationsServer {
  /** The five methods: `router.service(Operations, operations.service)`. */
  readonly service: ServiceImpl<typeof Operations>;
  /** Aborts as soon as the server shuts down: what load balancers ask is not serving then. */
  readonly draining: AbortSignal;
  /**
   * Serve a long-running method: the handler answers with a new Operation, and
   * `work` runs behind it. A request with a `request_id` that came before from the
   * same parent gets the operation it started then (AIP-155); the id is remembered for
   * the retention, and for ten minutes at least.
   *
   * A method whose `operation_info` is missing or names other types was refused by
   * `longRunning` (AIP-151).
   *
   * @throws TypeError if the method is served already; RangeError for an option out of
   *   its bounds.
   */
  handle<I extends DescMessage, R extends DescMessage, M extends DescMessage>(
    method: LongRunningMethod<I, R, M>,
    work: Work<I, R, M>,
    options?: MethodOptions<I, R>,
  ): StartHandler<I>;
  /**
   * Start an operation of a method whose work runs in a process that `handle`s it.
   *
   * @throws ConnectError `Unavailable` while the server shuts down,
   *   `InvalidArgument` for a bad parent or name or a reused request id,
   *   `AlreadyExists` for a name that is in use, `Aborted` for a resource that is busy,
   *   `ResourceExhausted` where the store or the queue is full.
   */
  start<I extends DescMessage, R extends DescMessage>(
    method: LongRunningMethod<I, R>,
    request: MessageInitShape<I>,
    options?: CreateOptions,
  ): Promise<Operation>;
  /**
   * Start an operation whose work runs elsewhere: a job, a queue, a webhook. It is
   * running until `succeed` or `fail` ends it. Throws what `start` throws.
   */
  create<I extends DescMessage, R extends DescMessage>(
    method: LongRunningMethod<I, R>,
    request: MessageInitShape<I>,
    options?: CreateOptions,
  ): Promise<Operation>;
  /**
   * Show the progress of an operation that `create` made. The answer says whether
   * somebody asked for its cancellation.
   *
   * @throws ConnectError `NotFound`; `FailedPrecondition` if it is done, if it has
   *   work of its own, or if another method started it.
   */
  report<M extends DescMessage>(
    method: LongRunningMethod<DescMessage, DescMessage, M>,
    name: string,
    metadata: MessageInitShape<M>,
  ): Promise<{ cancelRequested: boolean }>;
  /** End an operation that `create` made with its response. Throws what `report` throws. */
  succeed<R extends DescMessage>(
    method: LongRunningMethod<DescMessage, R>,
    name: string,
    response: MessageInitShape<R>,
  ): Promise<Operation>;
  /**
   * End an operation that `create` made with an error; one of `Code.Canceled` is
   * the answer to a request to cancel. Throws what `report` throws.
   */
  fail(name: string, error: ConnectError): Promise<Operation>;
  /**
   * Shut down in order: refuse starts with UNAVAILABLE, answer those who wait with
   * the latest state, and let the starts under way end, for at most `graceMs`
   * milliseconds (default: 10,000), and then the work, for as long. Then its signal
   * aborts, and after the same time again what still runs is left alone. Closes the store, the dispatcher and the signals. Calling it again
   * joins the first call.
   */
  shutdown(options?: { graceMs?: number | undefined }): Promise<void>;
}
