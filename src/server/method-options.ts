import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { Transaction } from "../store/operation-store.js";

/**
 * What a start does where operations of the same resource are not done yet (AIP-151).
 * `queue`: it waits for them. `refuse`: it fails with ABORTED, reason `RESOURCE_BUSY`.
 * `preempt`: they end ABORTED, reason `PREEMPTED`, and it runs.
 */
export type Parallel = "queue" | "refuse" | "preempt";

/**
 * What DeleteOperation does with an operation that is not done. `hide`: nobody finds it
 * any more, and its work runs on. `refuse`: FAILED_PRECONDITION, reason
 * `OPERATION_NOT_DONE`.
 */
export type DeleteRunning = "hide" | "refuse";

/**
 * What becomes of an operation whose worker was lost: its process died, or could not show
 * in time that it lives. `resume`: the next attempt is handed the checkpoint that was saved
 * last. `restart`: the next attempt begins without one. `fail`: nothing runs again, and the
 * operation ends ABORTED, reason `WORKER_LOST`.
 *
 * An attempt that its work or an orderly shutdown gave back is not lost: work that is tried
 * again, that goes on later or that is handed over keeps its checkpoint, whichever this is.
 */
export type Recovery = "resume" | "restart" | "fail";

/** How often and when work that failed is tried again. Every field may be left out. */
export interface RetryOptions {
  /** How many attempts there are in all, at least 1; the last one's error is the operation's. Default: 5. */
  maxAttempts?: number | undefined;
  /** Pause after the first attempt, in milliseconds, at least 0. Default: 1000. */
  initialDelayMs?: number | undefined;
  /** Longest pause between two attempts, in milliseconds, at least 0. Default: 60,000. */
  maxDelayMs?: number | undefined;
  /** Each pause is the one before times this; at least 1. Default: 2. */
  multiplier?: number | undefined;
  /**
   * Whether what the work threw may pass by itself. Default: a ConnectError of
   * `Code.Unavailable` may, and nothing else (AIP-194).
   */
  isRetryable?: ((thrown: unknown) => boolean) | undefined;
}

/** What may be said of one long-running method. Every field may be left out. */
export interface MethodOptions<
  I extends DescMessage = DescMessage,
  R extends DescMessage = DescMessage,
> {
  /**
   * The whole name of the operation, `{parent/}operations/{id}`, its id of at most 63
   * lower-case letters, digits and hyphens (AIP-122). It must be new: one that is in use
   * is refused with ALREADY_EXISTS. Default: the parent and a UUIDv7.
   */
  name?: ((request: MessageShape<I>, context: HandlerContext) => string) | undefined;
  /**
   * The parent in the names of its operations, without a slash at either end.
   * Default: the request's string field `parent` where it has one, else none.
   */
  parent?: ((request: MessageShape<I>) => string) | undefined;
  /**
   * Runs before anything is stored. What it throws is the start call's own error,
   * and no operation comes to be (AIP-151).
   */
  validate?:
    | ((request: MessageShape<I>, context: HandlerContext) => void | Promise<void>)
    | undefined;
  /**
   * The response that shows what a request would do whose bool field `validate_only` is
   * set: it is checked, and nothing is done or stored (AIP-163). Default: an empty one.
   */
  validateOnly?:
    | ((
        request: MessageShape<I>,
        context: HandlerContext,
      ) => MessageInitShape<R> | Promise<MessageInitShape<R>>)
    | undefined;
  /**
   * Answer at once what needs no work, with an operation that is done from the first
   * (AIP-151); undefined has the work run. It must change nothing: a request that is
   * sent again asks it again. What it throws is the start call's own error.
   */
  tryNow?:
    | ((
        request: MessageShape<I>,
        context: HandlerContext,
      ) => MessageInitShape<R> | undefined | Promise<MessageInitShape<R> | undefined>)
    | undefined;
  /**
   * What the operation works on: of those with the same resource `parallel` says which
   * may run, whatever their methods. Default, and for an empty string: none, it is
   * independent of all others.
   */
  resource?: ((request: MessageShape<I>) => string) | undefined;
  /** Default: queue. */
  parallel?: Parallel | undefined;
  /** How many run side by side in this process, at least 1. Default: what the dispatcher lets run. */
  maxConcurrent?: number | undefined;
  /** Default: the server's. */
  retentionMs?: number | undefined;
  /** Default: the server's. */
  deadlineMs?: number | undefined;
  /** Default: work that fails is not tried again. */
  retry?: RetryOptions | undefined;
  /**
   * What becomes of it when its worker is lost. With `fail`, work begins no more than once
   * unless it asked for that, and an operation may end ABORTED although its work did all
   * there was to do. Default: resume.
   */
  recovery?: Recovery | undefined;
  /**
   * Whether it can be cancelled; if not, CancelOperation of one that is not done is
   * FAILED_PRECONDITION, reason `NOT_CANCELLABLE`. Default: true.
   */
  cancellable?: boolean | undefined;
  /**
   * How long after the first request to cancel it is ended, in milliseconds, at least 0,
   * whatever its work does: CANCELLED, reason `CANCEL_GRACE_EXPIRED`. Default: never, it
   * runs until its work heeds its signal.
   */
  cancelGraceMs?: number | undefined;
  /** Default: the server's. */
  deleteRunning?: DeleteRunning | undefined;
  /**
   * What the metadata shows as `target`, where it has that field (number 3). Default: the
   * request's string field `name`, or else `parent`.
   */
  target?: ((request: MessageShape<I>) => string) | undefined;
  /**
   * What the metadata shows as `verb`, where it has that field (number 4). Default: the
   * first word of the method's name, in lower case.
   */
  verb?: string | undefined;
  /**
   * What the metadata shows as `api_version`, where it has that field (number 7).
   * Default: the version in the method's package, as `v1` in `printing.v1`.
   */
  apiVersion?: string | undefined;
}

/** Options of an operation that the program itself starts or creates. */
export interface CreateOptions {
  /** As `MethodOptions.name` gives it. Default: the parent and a UUIDv7. */
  name?: string | undefined;
  /** As in `MethodOptions`. */
  parent?: string | undefined;
  /** Who starts it, as `authorize` names callers. Default: empty. */
  principal?: string | undefined;
  /** As `MethodOptions.resource` gives it. Default: none. */
  resource?: string | undefined;
  /** Default: the method's, where this process handles it, else queue. */
  parallel?: Parallel | undefined;
  /** Default: the method's, where this process handles it, else the server's. */
  retentionMs?: number | undefined;
  /** Default: the method's, where this process handles it, else the server's. */
  deadlineMs?: number | undefined;
  /** Start the operation in this transaction: it comes to be when that commits. */
  transaction?: Transaction | undefined;
}
