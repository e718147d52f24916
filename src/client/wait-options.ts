import type { Message } from "@bufbuild/protobuf";
import { inRange, longestMs } from "../internal/option-bounds.js";
import type { ClientSettings } from "./client-options.js";
import { type BackoffOptions, type PollPolicy, pollPolicyOf } from "./poll-policy.js";
import type { Snapshot } from "./snapshot.js";

/** Options of a wait. All fields are optional. */
export interface WaitOptions<Response = Message, Metadata = Message> {
  /**
   * Ends the wait with an OperationError of kind `aborted`. The operation keeps running on the
   * server; `cancel()` requests its cancellation.
   */
  signal?: AbortSignal | undefined;
  /**
   * Time limit of the wait. When it expires, the client polls once more, for at most 1 s; if the
   * operation is still running, the wait rejects with an OperationError of kind `timeout`. In
   * milliseconds. Default: no limit.
   */
  timeoutMs?: number | undefined;
  /**
   * Longest time without a change of `done` or of the metadata. The wait then ends like at
   * `timeoutMs`. In milliseconds. Default: no limit.
   */
  stallMs?: number | undefined;
  /**
   * Whether the client requests the cancellation of the operation before the wait ends with kind
   * `timeout`. It waits for at most 1 s for the response. Default: `"leave"`.
   */
  onTimeout?: "leave" | "cancel" | undefined;
  /**
   * Poll policy of this wait, for servers without WaitOperation and for states before the final one.
   * Default: `ClientOptions.poll`.
   */
  poll?: PollPolicy | BackoffOptions | undefined;
  /** Called with every new state, including the final one. */
  onProgress?: ((snapshot: Snapshot<Response, Metadata>) => void) | undefined;
  /**
   * Called with the first exception of `onProgress`. The wait goes on. Default: prints it to the
   * console.
   */
  onListenerError?: ((error: unknown) => void) | undefined;
}

/** Options of an iteration. All fields are optional. */
export interface WatchOptions<Response = Message, Metadata = Message>
  extends WaitOptions<Response, Metadata> {
  /** Whether to yield the state of every poll, even an unchanged one. Default: false. */
  everyPoll?: boolean | undefined;
}

/** The limits of a wait, checked and with defaults. */
export interface WaitLimits {
  readonly policy: PollPolicy;
  readonly timeoutMs: number | undefined;
  readonly stallMs: number | undefined;
}

/** @throws RangeError if an option is out of bounds, with its name. */
export function waitLimits(
  options: Pick<WaitOptions, "poll" | "timeoutMs" | "stallMs">,
  settings: ClientSettings,
): WaitLimits {
  const { poll } = options;
  const limitMs = (limit: "timeoutMs" | "stallMs") =>
    options[limit] === undefined ? undefined : inRange(limit, options[limit], 0, longestMs);
  return {
    policy: poll === undefined ? settings.poll : pollPolicyOf(poll),
    timeoutMs: limitMs("timeoutMs"),
    stallMs: limitMs("stallMs"),
  };
}
