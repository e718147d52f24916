import type { Message } from "@bufbuild/protobuf";
import { inRange, longestMs } from "../internal/option-bounds.js";
import type { ClientSettings } from "./client-options.js";
import { type BackoffOptions, type PollPolicy, pollPolicyOf } from "./poll-policy.js";
import type { Snapshot } from "./snapshot.js";

/** How long to wait, and how often to look. Every field may be left out. */
export interface WaitOptions<Response = Message, Metadata = Message> {
  /**
   * Stops the waiting with an OperationError of kind `aborted`. The operation keeps
   * running on the server; `cancel()` asks the server to stop it.
   */
  signal?: AbortSignal | undefined;
  /**
   * Longest time to wait, in milliseconds. When it is over there is one last look,
   * and then an OperationError of kind `timeout`. Default: without end.
   */
  timeoutMs?: number | undefined;
  /**
   * Longest time without a change of `done` or of the metadata, in milliseconds;
   * then as for `timeoutMs`. Default: without end.
   */
  stallMs?: number | undefined;
  /**
   * What becomes of the operation when the time is up: it is left alone, or its
   * cancellation is asked for before the wait ends. Default: `"leave"`.
   */
  onTimeout?: "leave" | "cancel" | undefined;
  /**
   * When to look again, where the server has no WaitOperation or states on the way
   * matter. Default: the client's.
   */
  poll?: PollPolicy | BackoffOptions | undefined;
  /** Called with every new state, the final one included. */
  onProgress?: ((snapshot: Snapshot<Response, Metadata>) => void) | undefined;
  /**
   * Called with the first error that `onProgress` throws; the wait goes on.
   * Default: prints it to the console.
   */
  onListenerError?: ((error: unknown) => void) | undefined;
}

/** The same for an iteration. */
export interface WatchOptions<Response = Message, Metadata = Message>
  extends WaitOptions<Response, Metadata> {
  /** Yield the state of every look, also one that says what the last one said. Default: false. */
  everyPoll?: boolean | undefined;
}

/** The limits of a wait, checked and with defaults filled in. */
export interface WaitLimits {
  readonly policy: PollPolicy;
  readonly timeoutMs: number | undefined;
  readonly stallMs: number | undefined;
}

/** @throws RangeError for an option out of its bounds, naming it. */
export function waitLimits(
  { poll, timeoutMs, stallMs }: Pick<WaitOptions, "poll" | "timeoutMs" | "stallMs">,
  settings: ClientSettings,
): WaitLimits {
  return {
    policy: poll === undefined ? settings.poll : pollPolicyOf(poll),
    timeoutMs: timeoutMs === undefined ? undefined : inRange("timeoutMs", timeoutMs, 0, longestMs),
    stallMs: stallMs === undefined ? undefined : inRange("stallMs", stallMs, 0, longestMs),
  };
}
