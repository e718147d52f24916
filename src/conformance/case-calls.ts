import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { longestMs } from "../internal/option-bounds.js";
import { type Operation, Operations } from "../protos.js";
import type { Budgets, HeaderFields, MethodName } from "./description.js";
import type { CallEvidence } from "./evidence.js";
import { ConformanceFailure, NotExercised, Unimplemented, Unsteady } from "./failure.js";
import type { LoopDelayReading } from "./loop-delay.js";
import { createRandom, type Random } from "./random.js";
import { type CodeName, isStatus } from "./rpc-code.js";
import { type Answer, isDeclaredAbsent, type Subject } from "./subject.js";
import type { Protocol, WireStatus } from "./wire/answer.js";

/** Options of one call. */
export interface CallOptions {
  /** Headers of the caller. Default: the owner's. */
  readonly identity?: HeaderFields | undefined;
  readonly deadlineMs?: number | undefined;
  readonly limitMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly isolated?: boolean | undefined;
  /** Protocol instead of the run's. */
  readonly protocol?: Protocol | undefined;
  /** Whether UNIMPLEMENTED is returned instead of ending the case. Default: false. */
  readonly raw?: boolean | undefined;
}

/** The calls of one run of a case by name of an operation, and how their answers are judged. */
export class CaseCalls {
  readonly budgets: Budgets;
  readonly random: Random;
  readonly calls: CallEvidence[] = [];
  protected readonly sinceMs = performance.now();
  protected readonly signal: AbortSignal;
  /** One listener serves all of them: a case may sleep many times at once. */
  readonly #sleepers = new Set<() => void>();

  constructor(
    readonly subject: Subject,
    readonly protocol: Protocol,
    caseId: string,
    signal: AbortSignal,
  ) {
    this.budgets = subject.budgets;
    this.random = createRandom(subject.seed, `${caseId} ${protocol}`);
    this.signal = signal;
    signal.addEventListener(
      "abort",
      () => {
        for (const wakeUp of [...this.#sleepers]) wakeUp();
      },
      { once: true },
    );
  }

  get description() {
    return this.subject.description;
  }

  /** Whether answers are JSON, where payloads of unknown types lose their bytes. */
  get isJson(): boolean {
    return this.protocol === "rest" || this.protocol === "connect-json";
  }

  // The following methods send calls.

  get(name: string, options: CallOptions = {}): Promise<Answer<Operation>> {
    const { input, output } = Operations.method.getOperation;
    return this.call("GetOperation", options, (common) =>
      this.subject.call({ ...common, input, output, request: { name } }),
    );
  }

  wait(
    name: string,
    timeoutMs: number | undefined,
    options: CallOptions = {},
  ): Promise<Answer<Operation>> {
    const { input, output } = Operations.method.waitOperation;
    const timeout = timeoutMs === undefined ? undefined : durationFromMs(Math.round(timeoutMs));
    const limitMs = options.limitMs ?? Math.max(0, timeoutMs ?? 0) + this.budgets.answerMs;
    return this.call("WaitOperation", options, (common) =>
      this.subject.call({ ...common, limitMs, input, output, request: { name, timeout } }),
    );
  }

  /** WaitOperation with a timeout that no number of milliseconds can hold. */
  waitSeconds(
    name: string,
    seconds: bigint,
    nanos: number,
    options: CallOptions,
  ): Promise<Answer<Operation>> {
    const { input, output } = Operations.method.waitOperation;
    const request = { name, timeout: { seconds, nanos } };
    return this.call("WaitOperation", options, (common) =>
      this.subject.call({ ...common, input, output, request }),
    );
  }

  async cancel(name: string, options: CallOptions = {}): Promise<Answer> {
    const { input, output } = Operations.method.cancelOperation;
    return this.call("CancelOperation", options, (common) =>
      this.subject.call({ ...common, input, output, request: { name } }),
    );
  }

  async delete(name: string, options: CallOptions = {}): Promise<Answer> {
    const { input, output } = Operations.method.deleteOperation;
    return this.call("DeleteOperation", options, (common) =>
      this.subject.call({ ...common, input, output, request: { name } }),
    );
  }

  protected async call<A extends Answer>(
    method: MethodName,
    options: CallOptions,
    send: (common: {
      protocol: Protocol;
      service: string;
      method: string;
      identity: HeaderFields | undefined;
      deadlineMs: number | undefined;
      limitMs: number | undefined;
      signal: AbortSignal | undefined;
      isolated: boolean;
      sinceMs: number;
    }) => Promise<A> | undefined,
  ): Promise<A> {
    if (!options.raw && isDeclaredAbsent(this.description, method)) {
      throw new Unimplemented(`the subject file declares ${method} false`);
    }
    const { identity, deadlineMs, limitMs, isolated = false } = options;
    const protocol = options.protocol ?? this.protocol;
    const sending = send({
      protocol,
      service: Operations.typeName,
      method,
      identity,
      deadlineMs,
      limitMs,
      signal: options.signal,
      isolated,
      sinceMs: this.sinceMs,
    });
    if (sending === undefined) throw new Unimplemented(`${protocol} has no binding for ${method}`);
    const answer = await sending;
    this.signal.throwIfAborted();
    this.calls.push(answer.call);
    if (!options.raw && isStatus(answer, "UNIMPLEMENTED")) {
      if (method === "GetOperation") {
        throw new NotExercised("GetOperation answers UNIMPLEMENTED: see get.required");
      }
      throw new Unimplemented(`the server answers ${method} with UNIMPLEMENTED`);
    }
    return answer;
  }

  // The following methods judge the responses of calls.

  /** Fails the case unless the condition holds. */
  check(condition: boolean, expected: string, actual: string): asserts condition {
    if (!condition) throw this.failure(expected, actual);
  }

  failure(expected: string, actual: string): ConformanceFailure {
    return new ConformanceFailure(expected, actual, this.calls);
  }

  /** Returns the message of a successful answer, or fails the case. */
  ok<A extends Answer>(answer: A, expected: string): NonNullable<A["message"]> {
    const { message, fault } = answer;
    if (fault?.kind === "no-answer" || fault?.kind === "deadline") this.#late(answer, expected);
    if (message === undefined || message === null) throw this.failure(expected, answer.text);
    this.within(answer, answer.limitMs, expected);
    return message;
  }

  /** Fails the case unless the answer is a status with one of the codes. */
  status(answer: Answer, codes: readonly CodeName[], what: string): WireStatus {
    const expected = `${codes.join(" or ")} for ${what}`;
    const { status, fault } = answer;
    if (fault?.kind === "no-answer") this.#late(answer, expected);
    if (status === undefined || !codes.some((code) => isStatus(answer, code))) {
      throw this.failure(expected, answer.text);
    }
    this.within(answer, answer.limitMs, expected);
    return status;
  }

  /** Fails the case if an answer took longer than allowed. */
  within(answer: Answer, limitMs: number, expected: string): void {
    const tookMs = answer.endMs - answer.startMs;
    if (tookMs <= limitMs) return;
    const actual = `the answer took ${Math.round(tookMs)} ms`;
    const lateMs = tookMs - limitMs;
    // Many short delays of the runner can add up to a small lateness.
    if (lateMs <= Math.min(answer.delay.totalMs(), this.budgets.slackMs / 8)) {
      throw new Unsteady(`the runner was slow: ${actual}`);
    }
    throw this.late(lateMs, expected, actual, answer.delay);
  }

  #late(answer: Answer, expected: string): never {
    const lateMs = Math.max(1, answer.endMs - answer.startMs - answer.limitMs);
    throw this.late(lateMs, expected, answer.text, answer.delay);
  }

  /**
   * Returns the failure for an event that came too late. If the event loop was blocked meanwhile,
   * it is the request to run the case again.
   */
  late(lateMs: number, expected: string, actual: string, delay: LoopDelayReading): Error {
    const isSlow = delay.maxMs() > this.budgets.slackMs / 4 && lateMs < 2 * delay.totalMs();
    return isSlow
      ? new Unsteady(`the runner was blocked for ${Math.round(delay.maxMs())} ms: ${actual}`)
      : this.failure(expected, actual);
  }

  /** Asks for another run of the case, as this one was too slow for a verdict. */
  unsteady(why: string): never {
    throw new Unsteady(why);
  }

  /** Ends the case without a verdict. */
  notExercised(why: string): never {
    throw new NotExercised(why);
  }

  /** Ends the case if another one, whose statement it needs, failed. */
  premise(...ids: readonly string[]): void {
    for (const id of ids) {
      if (this.subject.failed.has(`${id} ${this.protocol}`)) {
        throw new NotExercised(`${id} failed, and this case needs it`);
      }
    }
  }

  // The following methods measure time or wait.

  /** Resolves after a time; rejects when the case's time is over. */
  sleep(ms: number): Promise<void> {
    this.signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const wakeUp = () => {
        clearTimeout(timer);
        this.#sleepers.delete(wakeUp);
        if (this.signal.aborted) reject(this.signal.reason);
        else resolve();
      };
      const timer = setTimeout(wakeUp, Math.min(ms, longestMs));
      this.#sleepers.add(wakeUp);
    });
  }

  /** Pause between two polls, in milliseconds. */
  get pollMs(): number {
    return Math.max(5, this.budgets.slackMs / 20);
  }

  /**
   * Polls until `read` returns a value. Returns undefined if a poll that began after the time
   * was over returned none, so that a slow runner makes no difference.
   */
  async poll<T>(withinMs: number, read: () => Promise<T | undefined>): Promise<T | undefined> {
    const endMs = performance.now() + withinMs;
    for (;;) {
      const isLast = performance.now() >= endMs;
      const found = await read();
      if (found !== undefined || isLast) return found;
      await this.sleep(this.pollMs);
    }
  }
}
