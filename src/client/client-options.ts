import { type Clock, systemClock } from "../internal/clock.js";
import { longestMs, optionInRange } from "../internal/option-bounds.js";
import type { OutcomeOptions } from "../operation/outcome.js";
import type { WaitObserver } from "./observer.js";
import { type BackoffOptions, type PollPolicy, pollPolicyOf } from "./poll-policy.js";

/** Options of a client, for all of its waits. All fields are optional. */
export interface ClientOptions extends OutcomeOptions {
  /**
   * Poll policy. Default: exponential backoff from 1 s to 20 s with factor 1.5 and up to 20 % jitter,
   * which shortens the delay.
   */
  poll?: PollPolicy | BackoffOptions | undefined;
  /**
   * `auto` calls WaitOperation, and falls back to GetOperation if the server responds with
   * UNIMPLEMENTED, while WaitOperation fails, and beyond `maxHeldWaits`. `poll` calls only
   * GetOperation. Default: `"auto"`.
   */
  mode?: "auto" | "poll" | undefined;
  /**
   * Longest WaitOperation call of a wait for the final state. The client makes its calls shorter if
   * they fail. In milliseconds, at least 1. Default: 25,000, which passes proxies that cut calls after
   * 30 or 60 s. Set 12,000 behind ESPv2 or Envoy's route timeout, which cut them after 15 s.
   */
  maxWaitCallMs?: number | undefined;
  /**
   * Most WaitOperation calls that the client holds at once, at least 0. The waits take turns, and
   * poll by GetOperation in between. Held calls occupy a browser's six connections to a server by
   * HTTP/1.1, or the streams of one connection by HTTP/2, usually 100. Default: 4 in a browser's page
   * or worker, 64 elsewhere.
   */
  maxHeldWaits?: number | undefined;
  /**
   * Time limit of one poll, beyond the time that the server is asked to hold a WaitOperation call. In
   * milliseconds, at least 1. Default: 10,000.
   */
  pollTimeoutMs?: number | undefined;
  /**
   * Number of consecutive failed polls that ends a wait, at least 1. A failed WaitOperation call does
   * not count, because GetOperation follows it. Default: 10.
   */
  maxConsecutiveFailures?: number | undefined;
  /**
   * Time after a start in which NOT_FOUND is tolerated, because a lagging replica may not have the
   * operation yet. Does not apply after a first successful poll, nor to an operation resumed by name:
   * NOT_FOUND then ends the wait with kind `gone`. In milliseconds. Default: 5000.
   */
  notFoundGraceMs?: number | undefined;
  /** Called on starts, polls and ends of waits, for traces and metrics. Optional. */
  observer?: WaitObserver | undefined;
  /** Time source of pauses and limits. Default: the machine's clock. */
  clock?: Clock | undefined;
}

/** The options of a client, checked and with defaults. */
export interface ClientSettings {
  readonly clock: Clock;
  readonly poll: PollPolicy;
  readonly tryWait: boolean;
  readonly maxWaitCallMs: number;
  readonly maxHeldWaits: number;
  readonly pollTimeoutMs: number;
  readonly maxConsecutiveFailures: number;
  readonly notFoundGraceMs: number;
  readonly outcome: OutcomeOptions;
  readonly observer: WaitObserver | undefined;
}

/** @throws RangeError if an option is out of bounds, with its name. */
export function clientSettings(options: ClientOptions): ClientSettings {
  return {
    clock: options.clock ?? systemClock,
    poll: pollPolicyOf(options.poll),
    tryWait: (options.mode ?? "auto") === "auto",
    maxWaitCallMs: optionInRange(options, "maxWaitCallMs", 25_000, 1, longestMs),
    maxHeldWaits: optionInRange(options, "maxHeldWaits", isBrowser() ? 4 : 64, 0),
    pollTimeoutMs: Math.ceil(optionInRange(options, "pollTimeoutMs", 10_000, 1, longestMs)),
    maxConsecutiveFailures: optionInRange(options, "maxConsecutiveFailures", 10, 1),
    notFoundGraceMs: optionInRange(options, "notFoundGraceMs", 5000, 0),
    outcome: { onMissingResult: options.onMissingResult },
    observer: options.observer,
  };
}

/** Whether this is a page or a worker of a browser: Node, Deno and Bun have none of the functions. */
function isBrowser(): boolean {
  return "document" in globalThis || "importScripts" in globalThis;
}
