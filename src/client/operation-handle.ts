import type { DescMessage, Message, MessageShape } from "@bufbuild/protobuf";
import type { CallOptions } from "@connectrpc/connect";
import type { LongRunningMethod } from "../operation/long-running.js";
import type { Operation } from "../protos.js";
import { errorOfFinal, followOperation, requestCancellation } from "./follow-operation.js";
import type { WaitReport } from "./operation-error.js";
import type { ResumeToken } from "./resume-token.js";
import type { FinalSnapshot, Snapshot } from "./snapshot.js";
import {
  type ClientCore,
  deleteOperation,
  type HandleOrigin,
  keepTracked,
  type TrackedOperation,
  trackOperation,
} from "./tracked-operation.js";
import { type WaitOptions, type WatchOptions, waitLimits } from "./wait-options.js";

/**
 * One operation on a server. A handle is not thenable: awaiting it returns the handle. It calls the
 * server only while it is iterated or waited for. All waits for an operation share one loop of
 * polls, each with its own signal and limits.
 *
 * Iterating it yields the operation's states, the current one first and the final one last. `break`
 * stops the polling; the operation goes on.
 *
 * @example
 * const handle = await client.print({ pages: 3 });
 * for await (const { kind, metadata } of handle) console.log(kind, metadata?.pagesPrinted);
 * const { pages } = await handle.result();
 */
export interface OperationHandle<Response = Message, Metadata = Message>
  extends AsyncIterable<Snapshot<Response, Metadata>> {
  /** The operation's name on the server. */
  readonly name: string;
  /** The latest state that a poll of this handle returned. */
  readonly snapshot: Snapshot<Response, Metadata>;
  /** Resumes the operation, here or in another process. */
  readonly resumeToken: ResumeToken;
  /**
   * Waits for the response. Once the operation is done every further call settles from memory. The
   * handle can be used after any error.
   *
   * @throws RangeError if an option is out of bounds.
   * @throws OperationError Its `kind` says whether the operation ended without a response, or the
   *   wait ended before the operation.
   */
  result(options?: WaitOptions<Response, Metadata>): Promise<Response>;
  /**
   * Waits until the operation is done and resolves with its final snapshot, including a failure or a
   * cancellation.
   *
   * @throws OperationError of kind `gone`, `poll`, `timeout` or `aborted`.
   */
  outcome(options?: WaitOptions<Response, Metadata>): Promise<FinalSnapshot<Response, Metadata>>;
  /**
   * Iterates over the operation's states, like iterating over the handle, with options. A slow
   * consumer receives the latest state and skips the ones in between.
   *
   * @throws OperationError of kind `gone`, `poll`, `timeout` or `aborted`, from the iteration.
   */
  watch(options?: WatchOptions<Response, Metadata>): AsyncIterable<Snapshot<Response, Metadata>>;
  /**
   * Requests the cancellation. Resolves when the server has accepted the request; the outcome shows
   * whether the operation was cancelled.
   *
   * @throws ConnectError of the call.
   */
  cancel(options?: CallOptions): Promise<void>;
  /**
   * Requests the cancellation, then waits until the operation is done. The outcome is `cancelled`,
   * or another kind, such as `succeeded`, if the operation ended first. A request that fails with a
   * transient error is sent up to three times.
   *
   * @throws ConnectError of the request, if that fails and the operation is still running.
   * @throws OperationError of kind `gone`, `poll`, `timeout` or `aborted`.
   */
  cancelAndWait(
    options?: WaitOptions<Response, Metadata>,
  ): Promise<FinalSnapshot<Response, Metadata>>;
  /**
   * Deletes the operation on the server. Its work is not cancelled. This client's waits for it end
   * with kind `gone`.
   *
   * @throws ConnectError of the call.
   */
  delete(options?: CallOptions): Promise<void>;
}

/** How often `cancelAndWait` sends its request, if that fails with a transient error. */
const maxCancelTries = 3;

/** @internal */
export function createOperationHandle<R extends DescMessage, M extends DescMessage>(
  core: ClientCore,
  method: LongRunningMethod<DescMessage, R, M>,
  first: Operation,
  origin: HandleOrigin,
): OperationHandle<MessageShape<R>, MessageShape<M>> {
  type Response = MessageShape<R>;
  type Metadata = MessageShape<M>;
  const tracked = trackOperation(core, method, first, origin);
  const { name } = tracked;
  const { rpc } = core.calls;

  const end = (options: WaitOptions<Response, Metadata>) =>
    new Promise<{ final: FinalSnapshot<Response, Metadata>; report: WaitReport }>(
      (resolve, reject) => {
        followOperation(tracked, options, false, {
          polled: () => undefined,
          done: (final, report) => resolve({ final, report }),
          gaveUp: reject,
        });
      },
    );
  const outcome = async (options: WaitOptions<Response, Metadata> = {}) =>
    (await end(options)).final;
  const watch = (options: WatchOptions<Response, Metadata> = {}) => {
    // Validated here so that `watch()` throws, not the first iteration.
    waitLimits(options, core.settings);
    return { [Symbol.asyncIterator]: () => watchOperation(tracked, options) };
  };

  const handle: OperationHandle<Response, Metadata> = {
    name,
    get snapshot() {
      return tracked.snapshot();
    },
    resumeToken: tracked.resumeToken,
    async result(options = {}) {
      const { final, report } = await end(options);
      if (final.kind === "succeeded") return final.response;
      throw errorOfFinal(final, report);
    },
    outcome,
    watch,
    [Symbol.asyncIterator]: () => watchOperation(tracked, {}),
    async cancel(options) {
      await rpc.cancelOperation({ name }, options);
    },
    cancelAndWait: (options = {}) =>
      new Promise((resolve, reject) => {
        let refusal: unknown;
        const refuse = (error: unknown) => {
          wait.stop();
          reject(error);
        };
        const wait = followOperation(tracked, options, false, {
          // The operation goes on after the request has failed.
          polled: () => refusal !== undefined && refuse(refusal),
          done: resolve,
          gaveUp: reject,
        });
        if (options.signal?.aborted || tracked.snapshot().kind !== "running") return;
        requestCancellation(core, name, wait.signal(), maxCancelTries).catch(async (error) => {
          if (wait.isOver()) return;
          // The operation may have ended before the cancellation request arrived, so its state
          // decides.
          const isKnown = await wait.pollNow(core.settings.pollTimeoutMs);
          if (wait.isOver()) return;
          if (isKnown) refuse(error);
          else refusal = error;
        });
      }),
    async delete(options) {
      await deleteOperation(core, name, options);
      tracked.onDeleted();
    },
  };
  keepTracked(handle, tracked);
  return handle;
}

/** Iterates over the states of an operation, the current one first. The first `next()` begins the wait. */
function watchOperation<Response, Metadata>(
  tracked: TrackedOperation<Response, Metadata>,
  options: WatchOptions<Response, Metadata>,
): AsyncIterator<Snapshot<Response, Metadata>, void> {
  let hasLeft = false;
  let wake: () => void = () => undefined;
  const states = (async function* () {
    /** The latest state, until it is yielded. */
    let pending: Snapshot<Response, Metadata> | undefined = tracked.snapshot();
    let yielded: Snapshot<Response, Metadata> | undefined;
    /** Throws the error of the wait. Undefined until the wait has ended. */
    let end: (() => void) | undefined;
    const put = (snapshot: Snapshot<Response, Metadata>, isWanted = snapshot !== yielded) => {
      if (isWanted) pending = snapshot;
      wake();
    };
    const wait = followOperation(tracked, options, true, {
      polled: (snapshot) => put(snapshot, options.everyPoll || undefined),
      done(snapshot) {
        end = () => undefined;
        // An operation that was done from the start has only one state.
        put(snapshot);
      },
      gaveUp(error) {
        end = () => {
          throw error;
        };
        wake();
      },
    });
    try {
      while (!hasLeft) {
        if (pending !== undefined) {
          yielded = pending;
          pending = undefined;
          yield yielded;
        } else if (end !== undefined) {
          end();
          return;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      wait.stop();
    }
  })();
  return {
    next: () => states.next(),
    // An async generator's `return` would wait for the pending state.
    return() {
      hasLeft = true;
      wake();
      return states.return();
    },
  };
}
