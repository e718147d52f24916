import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Transaction } from "../store/operation-store.js";
import { milliseconds } from "./methods.js";

/**
 * The work of a long-running method. The value that it returns becomes the operation's response.
 * A ConnectError that it throws becomes the operation's error, with its code, message and
 * details. Any other exception becomes UNKNOWN, and only the server's log contains it.
 *
 * The work may run more than once: if its process was lost, if it failed and its method has
 * `retry`, and after it returned `continueLater(…)`.
 */
export type Work<
  I extends DescMessage,
  R extends DescMessage,
  M extends DescMessage,
  C = Uint8Array,
> = (
  operation: RunningOperation<I, M, R, C>,
) => Promise<MessageInitShape<R> | Continuation> | MessageInitShape<R> | Continuation;

/** One attempt at an operation, as its work sees it. */
export interface RunningOperation<
  I extends DescMessage = DescMessage,
  M extends DescMessage = DescMessage,
  R extends DescMessage = DescMessage,
  C = Uint8Array,
> {
  /** `{parent/}operations/{id}`. */
  readonly name: string;
  /**
   * The principal that started the operation, as `authorize` or `CreateOptions.principal` named
   * it. Empty if neither named one.
   */
  readonly principal: string;
  /** The request that started the operation. */
  readonly request: MessageShape<I>;
  /**
   * 1 for the first attempt, and greater for each later one. The number never decreases: pass it
   * to other systems as a fencing token.
   */
  readonly attempt: number;
  /**
   * Aborts when the work should stop. The code of `signal.reason` tells why: `Code.Canceled` for a
   * request to cancel, `Code.Unavailable` when the server shuts down, `Code.Aborted` when another
   * attempt has the operation, and the operation's own error when the operation was ended, for
   * example `Code.DeadlineExceeded`.
   *
   * The work agrees to stop when it throws the reason, as `throwIfAborted()` does. Work that
   * returns a response in spite of the signal has succeeded, unless another attempt has the
   * operation or the operation has ended.
   */
  readonly signal: AbortSignal;
  /**
   * Sets the operation's metadata. Best effort and cheap, so call it as often as you like: of
   * several reports within `reportIntervalMs` only the last one is written, and the last report
   * before the end is always written.
   */
  report(metadata: MessageInitShape<M>): void;
  /**
   * The checkpoint that an earlier attempt saved last; undefined for the first attempt.
   *
   * @throws Error if the stored bytes are not of the method's `checkpoint` type.
   */
  readonly checkpoint: C | undefined;
  /**
   * Saves a checkpoint for the next attempt, of at most 1 MiB when encoded. Resolves when it is
   * stored.
   *
   * @throws RangeError for more than 1 MiB; TypeError for a value that is not JSON; ConnectError
   *   `Aborted` if this attempt has lost its operation, and the store's errors.
   */
  saveCheckpoint(checkpoint: C): Promise<void>;
  /**
   * Makes the value to return if the work is to continue in another attempt, in this process or
   * another one. The operation is queued until then, and no attempt is used up. For work that
   * waits a long time, or runs longer than a dispatcher allows for one attempt.
   *
   * @throws RangeError for a checkpoint or a delay out of its bounds.
   */
  continueLater(options?: ContinueOptions<C>): Continuation;
  /**
   * Ends the operation with this response, in a transaction of the work's own database: its rows
   * and the end of the operation are committed together, once, although the work may run twice.
   * Resolves with the response, for the work to return.
   *
   * Call it last in the transaction: a call that cancels the operation waits until the
   * transaction is over. If the transaction is rolled back, the operation is unchanged, and the
   * outcome of the work decides.
   *
   * @throws ConnectError `Aborted` if this attempt has lost its operation or the operation has
   *   ended: roll back then. `FailedPrecondition` if the store is not in a database.
   */
  complete(response: MessageInitShape<R>, transaction: Transaction): Promise<MessageInitShape<R>>;
}

/** Options of `continueLater`. */
export interface ContinueOptions<C = Uint8Array> {
  /** The checkpoint for the next attempt. Default: the checkpoint that was saved last. */
  checkpoint?: C | undefined;
  /** Pause before the next attempt, in milliseconds, at least 0. Default: 0. */
  delayMs?: number | undefined;
}

/** The value that work returns, in place of a response, to continue in another attempt. */
export class Continuation {
  readonly delayMs: number;

  /**
   * @param checkpoint Encoded.
   * @throws RangeError for a delay out of its bounds.
   */
  constructor(
    readonly checkpoint: Uint8Array | undefined,
    delayMs: number | undefined,
  ) {
    this.delayMs = milliseconds("delayMs", delayMs ?? 0);
  }
}
