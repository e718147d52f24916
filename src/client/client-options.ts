import { type Clock, systemClock } from "../internal/clock.js";
import { withOneTimer } from "../internal/one-timer-clock.js";
import { inRange, longestMs } from "../internal/option-bounds.js";
import type { OutcomeOptions } from "../operation/outcome.js";
import type { WaitObserver } from "./observer.js";
import { type BackoffOptions, type PollPolicy, pollPolicyOf } from "./poll-policy.js";

/** Options of a client, for all of its waits. Every field may be left out. */
export interface ClientOptions extends OutcomeOptions {
  /** When to look again. Default: from 1 s by 1.5 up to 20 s, each cut by up to a fifth. */
  poll?: PollPolicy | BackoffOptions | undefined;
  /**
   * `auto` waits by WaitOperation, until the server says that it does not have it;
   * `poll` never tries. Default: `"auto"`.
   */
  mode?: "auto" | "poll" | undefined;
  /**
   * How long one WaitOperation call is held where only the end matters, in
   * milliseconds, at least 1. Default: 30,000, which proxies let pass.
   */
  waitSliceMs?: number | undefined;
  /**
   * How long the answer of one look may take, beyond what the server was asked to
   * wait, in milliseconds, at least 1. Default: 10,000.
   */
  pollTimeoutMs?: number | undefined;
  /**
   * How many looks in a row may fail, at least 1: with the last of them the wait
   * ends. Default: 10.
   */
  maxConsecutiveFailures?: number | undefined;
  /**
   * How long after its start an operation may be unknown to the server, which may
   * have replicas that lag behind, in milliseconds. Once it was seen, and for one that was
   * resumed by name, NOT_FOUND means `gone` at once. Default: 5000.
   */
  notFoundGraceMs?: number | undefined;
  /** Hears of every wait. Default: nobody. */
  observer?: WaitObserver | undefined;
  /** What pauses and limits go by. Default: the machine's clock. */
  clock?: Clock | undefined;
}

/** The same, with defaults filled in. */
export interface ClientSettings {
  readonly clock: Clock;
  readonly poll: PollPolicy;
  readonly tryWait: boolean;
  readonly waitSliceMs: number;
  readonly pollTimeoutMs: number;
  readonly maxConsecutiveFailures: number;
  readonly notFoundGraceMs: number;
  readonly outcome: OutcomeOptions;
  readonly observer: WaitObserver | undefined;
}

/** @throws RangeError for an option out of its bounds, naming it. */
export function clientSettings(options: ClientOptions): ClientSettings {
  return {
    clock: withOneTimer(options.clock ?? systemClock),
    poll: pollPolicyOf(options.poll),
    tryWait: (options.mode ?? "auto") === "auto",
    waitSliceMs: inRange("waitSliceMs", options.waitSliceMs ?? 30_000, 1, longestMs),
    pollTimeoutMs: Math.ceil(
      inRange("pollTimeoutMs", options.pollTimeoutMs ?? 10_000, 1, longestMs),
    ),
    maxConsecutiveFailures: inRange(
      "maxConsecutiveFailures",
      options.maxConsecutiveFailures ?? 10,
      1,
    ),
    notFoundGraceMs: inRange("notFoundGraceMs", options.notFoundGraceMs ?? 5000, 0),
    outcome: { onMissingResult: options.onMissingResult },
    observer: options.observer,
  };
}
