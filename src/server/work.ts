import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Transaction } from "../store/operation-store.js";
import type { Continuation, ContinueOptions } from "./continuation.js";

/**
 * The work behind a long-running method: what it returns is the operation's
 * response, what it throws its error. A ConnectError becomes the error with its
 * code, message and details; anything else becomes UNKNOWN, and only the log
 * hook sees what it was.
 *
 * It may run more than once: when the process that ran it was lost, when it failed and its
 * method's options have it tried again, and when it returns `continueLater(…)`.
 */
export type Work<I extends DescMessage, R extends DescMessage, M extends DescMessage> = (
  operation: RunningOperation<I, M, R>,
) => Promise<MessageInitShape<R> | Continuation> | MessageInitShape<R> | Continuation;

/** One attempt at an operation, as its work sees it. */
export interface RunningOperation<
  I extends DescMessage = DescMessage,
  M extends DescMessage = DescMessage,
  R extends DescMessage = DescMessage,
> {
  /** `{parent/}operations/{id}`. */
  readonly name: string;
  /** The message that started it. */
  readonly request: MessageShape<I>;
  /**
   * 1 for the first attempt, and more for each after it. It only ever grows: hand
   * it to other systems as a fencing token.
   */
  readonly attempt: number;
  /**
   * Aborts when the work should stop: somebody asked for a cancellation
   * (`reason.code` is `Code.Canceled`), the server shuts down (`Code.Unavailable`),
   * another attempt has taken over (`Code.Aborted`), or the operation was ended: the reason
   * is its error then, as DEADLINE_EXCEEDED. Throwing the reason, as
   * `throwIfAborted()` does, is how work agrees to that. Work that goes on and
   * returns a response has succeeded all the same, unless another has taken over or the
   * operation has ended.
   */
  readonly signal: AbortSignal;
  /**
   * Show progress: the operation's metadata from now on. Best effort and cheap,
   * so call it as often as you like: of several calls in a short time the last
   * one counts, and the last one before the end always does.
   */
  report(metadata: MessageInitShape<M>): void;
  /** What an earlier attempt saved last; undefined where none did. */
  readonly checkpoint: Uint8Array | undefined;
  /**
   * Keep bytes, at most 1 MiB, for the next attempt, should there be one. Resolves when
   * they are kept.
   *
   * @throws RangeError for more; ConnectError `Aborted` where this attempt has lost its
   *   operation, and what the store fails with.
   */
  saveCheckpoint(checkpoint: Uint8Array): Promise<void>;
  /**
   * What to return to go on in another attempt, in this process or another: the operation
   * is queued meanwhile. It uses up no attempt. For work that waits long for something, or
   * runs longer than a dispatcher lets one attempt run.
   *
   * @throws RangeError for a checkpoint or a delay out of its bounds.
   */
  continueLater(options?: ContinueOptions): Continuation;
  /**
   * End the operation with this response in a transaction of the work's own database, so
   * that its rows and the end are committed together: what exists once, although the work may
   * run twice. Resolves with the response, for the work to return.
   *
   * Call it last in the transaction: until that is over, whoever cancels the operation
   * waits. If it is rolled back nothing has happened, and what the work returns or throws
   * counts.
   *
   * @throws ConnectError `Aborted` where this attempt has lost its operation, or that has
   *   ended: roll back then. `FailedPrecondition` where the store is in no database.
   */
  complete(response: MessageInitShape<R>, transaction: Transaction): Promise<MessageInitShape<R>>;
}
