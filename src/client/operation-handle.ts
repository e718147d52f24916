import type { DescMessage, Message, MessageShape } from "@bufbuild/protobuf";
import type { CallOptions } from "@connectrpc/connect";
import type { LongRunningMethod } from "../operation/long-running.js";
import type { Operation } from "../protos.js";
import { errorOfFinal, followOperation } from "./follow-operation.js";
import type { WaitReport } from "./operation-error.js";
import type { ResumeToken } from "./resume-token.js";
import type { FinalSnapshot, Snapshot } from "./snapshot.js";
import {
  type ClientCore,
  type HandleOrigin,
  keepInside,
  type TrackedOperation,
  trackOperation,
} from "./tracked-operation.js";
import { type WaitOptions, type WatchOptions, waitLimits } from "./wait-options.js";

/**
 * One operation on a server. Awaiting a handle gives the handle; nothing is asked
 * of the server before somebody iterates it or waits for its end. All who do share
 * one loop of polls, each with its own signal and limits.
 *
 * Iterating it yields the states it is seen in, the present one first and the
 * final one last; `break` stops the looking, and the operation goes on.
 */
export interface OperationHandle<Response = Message, Metadata = Message>
  extends AsyncIterable<Snapshot<Response, Metadata>> {
  /** The operation's name on the server. */
  readonly name: string;
  /** The latest state that was seen through this handle; final once it is done. */
  readonly snapshot: Snapshot<Response, Metadata>;
  /** Takes the operation up again, here or in another process. */
  readonly resumeToken: ResumeToken;
  /**
   * Wait for the response. Once the operation is done every further call settles
   * at once, from memory. After any error the handle can be used on.
   *
   * @throws RangeError for an option out of its bounds, as all waits do.
   * @throws OperationError; its `kind` says whether the operation ended without a
   *   response or the wait ended without the operation.
   */
  result(options?: WaitOptions<Response, Metadata>): Promise<Response>;
  /**
   * Wait for the end, whatever it is: also a failure is a value here.
   *
   * @throws OperationError of kind `gone`, `poll`, `timeout` or `aborted`.
   */
  outcome(options?: WaitOptions<Response, Metadata>): Promise<FinalSnapshot<Response, Metadata>>;
  /**
   * The states it is seen in, as iterating does, with options. Whoever takes them
   * slowly gets the latest one and misses those between.
   *
   * @throws OperationError of kind `gone`, `poll`, `timeout` or `aborted`, from the
   *   iteration.
   */
  watch(options?: WatchOptions<Response, Metadata>): AsyncIterable<Snapshot<Response, Metadata>>;
  /**
   * Ask the server to cancel it; resolves when the server has taken note. Whether
   * it worked shows in the outcome.
   */
  cancel(options?: CallOptions): Promise<void>;
  /**
   * Ask the server to cancel it, then wait for the end: `cancelled`, or `succeeded`
   * where the work was faster.
   *
   * @throws ConnectError of the request to cancel; then what `outcome` throws.
   */
  cancelAndWait(
    options?: WaitOptions<Response, Metadata>,
  ): Promise<FinalSnapshot<Response, Metadata>>;
  /** Tell the server that nobody wants the result any more; the work goes on. */
  delete(options?: CallOptions): Promise<void>;
}

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
          looked: () => undefined,
          done: (final, report) => resolve({ final, report }),
          gaveUp: reject,
        });
      },
    );
  const outcome = async (options: WaitOptions<Response, Metadata> = {}) =>
    (await end(options)).final;
  const watch = (options: WatchOptions<Response, Metadata> = {}) => {
    // Here, so that it is the call that a bad option fails and not the first step.
    waitLimits(options, core.settings);
    return { [Symbol.asyncIterator]: () => watchOperation(tracked, options) };
  };
  const cancel = async (options?: CallOptions) => {
    await rpc.cancelOperation({ name }, options);
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
    cancel,
    async cancelAndWait(options = {}) {
      await cancel(options.signal && { signal: options.signal });
      return outcome(options);
    },
    async delete(options) {
      await rpc.deleteOperation({ name }, options);
    },
  };
  keepInside(handle, tracked);
  return handle;
}

/** The states of an operation, the present one first. Following begins with the first step. */
function watchOperation<Response, Metadata>(
  tracked: TrackedOperation<Response, Metadata>,
  options: WatchOptions<Response, Metadata>,
): AsyncIterator<Snapshot<Response, Metadata>, void> {
  const left = new AbortController();
  const states = statesOf(tracked, options, left.signal);
  return {
    next: () => states.next(),
    // A generator that waits for its next state would return only when that has come.
    return() {
      left.abort();
      return states.return();
    },
  };
}

async function* statesOf<Response, Metadata>(
  tracked: TrackedOperation<Response, Metadata>,
  options: WatchOptions<Response, Metadata>,
  left: AbortSignal,
): AsyncGenerator<Snapshot<Response, Metadata>, void> {
  /** What has not been yielded yet: the latest state, or how it ended. */
  let pending: Snapshot<Response, Metadata> | undefined = tracked.snapshot();
  let failure: { error: unknown } | undefined;
  let isOver = false;
  let yielded: Snapshot<Response, Metadata> | undefined;
  let wake: () => void = () => undefined;

  const put = (snapshot: Snapshot<Response, Metadata>) => {
    if (options.everyPoll || snapshot !== yielded) pending = snapshot;
    wake();
  };
  const stop = followOperation(tracked, options, true, {
    looked: put,
    done(snapshot) {
      isOver = true;
      // The state that was there from the start is yielded once.
      if (snapshot !== yielded) pending = snapshot;
      wake();
    },
    gaveUp(error) {
      failure = { error };
      wake();
    },
  });
  left.addEventListener("abort", () => {
    stop();
    wake();
  });
  try {
    while (!left.aborted) {
      if (pending !== undefined) {
        yielded = pending;
        pending = undefined;
        yield yielded;
      } else if (failure !== undefined) {
        throw failure.error;
      } else if (isOver) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    stop();
  }
}
