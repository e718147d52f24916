import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { Transaction } from "../store/operation-store.js";
import type { CheckpointFormat } from "./checkpoint-format.js";

/** The context of a start call, as the functions of `MethodOptions` get it. */
export interface StartContext extends HandlerContext {
  /** The caller's principal, as `authorize` named it. Empty if it named none. */
  readonly principal: string;
}

/**
 * Decides about a start while other operations on the same resource are not done (AIP-151).
 *
 * - `queue`: the new operation waits for them.
 * - `refuse`: the start fails with ABORTED, reason `RESOURCE_BUSY`.
 * - `preempt`: they end ABORTED, reason `PREEMPTED`, and the new operation runs.
 */
export type Parallel = "queue" | "refuse" | "preempt";

/**
 * Decides how DeleteOperation treats an operation that is not done. `hide`: the operation is no longer
 * found, and its work runs on. `refuse`: FAILED_PRECONDITION, reason `OPERATION_NOT_DONE`.
 */
export type DeleteRunning = "hide" | "refuse";

/**
 * Decides how the server treats an operation whose worker was lost: the process died, or did not renew
 * its lease in time.
 *
 * - `resume`: the next attempt gets the checkpoint that was saved last.
 * - `restart`: the next attempt starts without a checkpoint.
 * - `fail`: there is no other attempt, and the operation ends ABORTED, reason `WORKER_LOST`.
 *
 * An attempt that its work or an orderly shutdown gave back is not lost. Such an operation keeps
 * its checkpoint under every policy.
 */
export type Recovery = "resume" | "restart" | "fail";

/** How often and when failed work is tried again. All fields are optional. */
export interface RetryOptions {
  /**
   * Attempts in all, at least 1. If the last one fails, its error is the operation's. Default: 5.
   */
  maxAttempts?: number | undefined;
  /** Pause after the first attempt, in milliseconds, at least 0. Default: 1000. */
  initialDelayMs?: number | undefined;
  /** Longest pause between two attempts, in milliseconds, at least 0. Default: 60,000. */
  maxDelayMs?: number | undefined;
  /** Each pause is the pause before it times this factor; at least 1. Default: 2. */
  multiplier?: number | undefined;
  /**
   * Whether an exception of the work is transient. Default: a ConnectError of
   * `Code.Unavailable` is, every other exception is not (AIP-194).
   */
  isRetryable?: ((thrown: unknown) => boolean) | undefined;
}

/**
 * Options of one long-running method. All fields are optional.
 *
 * The functions are called after `authorize` has allowed the call, in the order `name`, `parent`,
 * `validate`, `resource`, `validateOnly`, `tryNow`. The second argument of each one has the
 * caller's principal, headers, context values and signal. A function that throws fails the start
 * call with its own error, and no operation is created (AIP-151).
 */
export interface MethodOptions<
  I extends DescMessage = DescMessage,
  R extends DescMessage = DescMessage,
  C = Uint8Array,
> {
  /**
   * Returns the whole name of the operation, `{parent/}operations/{id}`. The id has at most 63
   * lower-case letters, digits and hyphens (AIP-122). A name that is in use is refused with
   * ALREADY_EXISTS. Default: the parent and a UUIDv7.
   */
  name?: ((request: MessageShape<I>, context: StartContext) => string) | undefined;
  /**
   * Returns the parent in the operation's name, without a slash at either end. Default: the
   * request's string field `parent` if it has one, otherwise none.
   *
   * `authorize` was called with the parent that the request contains. If this function returns
   * another one, `authorize` is called again with that parent.
   */
  parent?: ((request: MessageShape<I>, context: StartContext) => string) | undefined;
  /** Checks the request before anything is stored. */
  validate?:
    | ((request: MessageShape<I>, context: StartContext) => void | Promise<void>)
    | undefined;
  /**
   * Returns the response to a request whose bool field `validate_only` is set: the request is
   * checked, and nothing is done or stored (AIP-163). Default: an empty response.
   */
  validateOnly?:
    | ((
        request: MessageShape<I>,
        context: StartContext,
      ) => MessageInitShape<R> | Promise<MessageInitShape<R>>)
    | undefined;
  /**
   * Returns the response if it is available without work: the start then returns an operation that
   * is done already (AIP-151). Undefined means that the work runs. It must change nothing, because
   * a request that is sent again calls it again.
   */
  tryNow?:
    | ((
        request: MessageShape<I>,
        context: StartContext,
      ) => MessageInitShape<R> | undefined | Promise<MessageInitShape<R> | undefined>)
    | undefined;
  /**
   * Returns the resource that the operation works on. `parallel` decides which operations on one
   * resource may run, across all methods. Default, and for an empty string: none, the operation is
   * independent of all others.
   */
  resource?: ((request: MessageShape<I>, context: StartContext) => string) | undefined;
  /** The policy for other operations on the same resource that are not done. Default: queue. */
  parallel?: Parallel | undefined;
  /**
   * How many operations of the method run at the same time in this process, at least 1. Default:
   * the dispatcher's limit.
   */
  maxConcurrent?: number | undefined;
  /**
   * How long an operation is kept after its end, in milliseconds, at least 0. Default: the server's
   * `retentionMs`.
   */
  retentionMs?: number | undefined;
  /**
   * How long after its start an operation ends with DEADLINE_EXCEEDED if it is not done, in
   * milliseconds, at least 0. Default: the server's `deadlineMs`.
   */
  deadlineMs?: number | undefined;
  /** How often and when failed work is tried again. Default: it is not tried again. */
  retry?: RetryOptions | undefined;
  /**
   * The format of checkpoints: `messageCheckpoint(schema)`, `jsonCheckpoint<T>()` or another one.
   * Default: bytes.
   */
  checkpoint?: CheckpointFormat<C> | undefined;
  /**
   * The policy for a lost worker. With `fail` the work starts at most once unless it
   * asks for more, and an operation may end ABORTED although its work was complete.
   * Default: resume.
   */
  recovery?: Recovery | undefined;
  /**
   * Whether an operation can be cancelled. If not, CancelOperation fails with FAILED_PRECONDITION,
   * reason `NOT_CANCELLABLE`, until the operation is done. Default: true.
   */
  cancellable?: boolean | undefined;
  /**
   * How long after the first request to cancel the operation ends at the latest, whether or not its
   * work has stopped: CANCELLED, reason `CANCEL_GRACE_EXPIRED`. In milliseconds, at least 0.
   * Default: never, the operation runs until its work respects its signal.
   */
  cancelGraceMs?: number | undefined;
  /** How DeleteOperation treats an operation that is not done. Default: the server's `deleteRunning`. */
  deleteRunning?: DeleteRunning | undefined;
  /**
   * Returns `target` of the metadata, if the metadata has that field (number 3). Called again for
   * each report, possibly in another process, so of the caller it gets the principal only.
   * Default: the request's string field `name`, or else `parent`.
   */
  target?:
    | ((request: MessageShape<I>, caller: Pick<StartContext, "principal">) => string)
    | undefined;
  /**
   * `verb` of the metadata, if the metadata has that field (number 4). Default: the first word of
   * the method's name, in lower case.
   */
  verb?: string | undefined;
  /**
   * `api_version` of the metadata, if the metadata has that field (number 7). Default: the version
   * in the method's package, for example `v1` in `printing.v1`.
   */
  apiVersion?: string | undefined;
}

/** Options of an operation that the program creates itself. All fields are optional. */
export interface CreateOptions {
  /** The whole name, like the value of `MethodOptions.name`. Default: the parent and a UUIDv7. */
  name?: string | undefined;
  /** The parent, like the value of `MethodOptions.parent`, with the same default. */
  parent?: string | undefined;
  /** The principal that starts the operation, as `authorize` names callers. Default: empty. */
  principal?: string | undefined;
  /** The resource, like the value of `MethodOptions.resource`. Default: none. */
  resource?: string | undefined;
  /**
   * The policy for other operations on the same resource. Default: the method's if this process
   * handles it, otherwise queue.
   */
  parallel?: Parallel | undefined;
  /**
   * How long the operation is kept after its end, in milliseconds, at least 0. Default: the method's
   * if this process handles it, otherwise the server's.
   */
  retentionMs?: number | undefined;
  /**
   * How long after its start the operation ends with DEADLINE_EXCEEDED, in milliseconds, at least 0.
   * Default: the method's if this process handles it, otherwise the server's.
   */
  deadlineMs?: number | undefined;
  /** Creates the operation in this transaction: it exists when the transaction commits. */
  transaction?: Transaction | undefined;
}
