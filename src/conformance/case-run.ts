import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { longestMs } from "../internal/option-bounds.js";
import { parseOperationName } from "../operation/name.js";
import {
  type ListOperationsRequestSchema,
  type ListOperationsResponse,
  type Operation,
  Operations,
} from "../protos.js";
import { codeName } from "../status/code.js";
import type { Budgets, ExpectedError, HeaderFields, MethodName, WorkState } from "./description.js";
import { Driver, ProbeRequestSchema, ProbeResponse_Work, ProbeResponseSchema } from "./driver.js";
import type { CallEvidence } from "./evidence.js";
import { ConformanceFailure, NotExercised, Unimplemented, Unsteady } from "./failure.js";
import type { LoopDelayReading } from "./loop-delay.js";
import { createRandom, type Random } from "./random.js";
import { needOf, type StartKind, startOnce } from "./starts.js";
import { type Answer, isDeclaredAbsent, type Subject } from "./subject.js";
import type { Protocol, WireStatus } from "./wire/answer.js";

/** Codes of google.rpc.Code by name. */
export const rpcCode = {
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;
export type CodeName = keyof typeof rpcCode;

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

/** An operation that the run started or was given. */
export interface Started {
  readonly name: string;
  /** The start's answer; only the name is set for a prepared operation. */
  readonly operation: Operation;
  readonly kind: StartKind;
  readonly method: string | undefined;
  readonly expectedResponse: JsonObject | undefined;
  readonly expectedError: ExpectedError | undefined;
  readonly isPrepared: boolean;
}

export interface StartOptions {
  /** Time that the work takes, in milliseconds. Default: the slack. */
  readonly ms?: number | undefined;
  readonly parent?: string | undefined;
  readonly requestId?: string | undefined;
  readonly validateOnly?: boolean | undefined;
  /** Whether the driver's error has a detail of an unknown type. Default: false. */
  readonly opaque?: boolean | undefined;
  readonly identity?: HeaderFields | undefined;
  readonly isolated?: boolean | undefined;
  readonly protocol?: Protocol | undefined;
}

/** All pages of a list. */
export interface Walk {
  readonly operations: readonly Operation[];
  readonly pages: readonly ListOperationsResponse[];
}

type ListRequest = MessageInitShape<typeof ListOperationsRequestSchema>;

/** Most tries of a start that the server refuses for its load. */
const maxStartTries = 4;

/** One run of one case over one protocol: calls, starts, waits and judgements. */
export class CaseRun {
  readonly budgets: Budgets;
  readonly random: Random;
  readonly calls: CallEvidence[] = [];
  readonly #sinceMs = performance.now();
  readonly #running: Started[] = [];
  readonly #signal: AbortSignal;
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
    this.#signal = signal;
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

  // Calls.

  get(name: string, options: CallOptions = {}): Promise<Answer<Operation>> {
    const { input, output } = Operations.method.getOperation;
    return this.#call("GetOperation", options, (common) =>
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
    return this.#call("WaitOperation", options, (common) =>
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
    return this.#call("WaitOperation", options, (common) =>
      this.subject.call({ ...common, input, output, request }),
    );
  }

  async cancel(name: string, options: CallOptions = {}): Promise<Answer> {
    const { input, output } = Operations.method.cancelOperation;
    return this.#call("CancelOperation", options, (common) =>
      this.subject.call({ ...common, input, output, request: { name } }),
    );
  }

  async delete(name: string, options: CallOptions = {}): Promise<Answer> {
    const { input, output } = Operations.method.deleteOperation;
    return this.#call("DeleteOperation", options, (common) =>
      this.subject.call({ ...common, input, output, request: { name } }),
    );
  }

  /** ListOperations; the parent is the subject's first one unless the request names another. */
  async list(
    request: ListRequest,
    options: CallOptions = {},
  ): Promise<Answer<ListOperationsResponse>> {
    const name = await this.#listName(request.name ?? (await this.parent()), options);
    return this.#listNamed({ ...request, name }, options);
  }

  #listNamed(request: ListRequest, options: CallOptions): Promise<Answer<ListOperationsResponse>> {
    const { input, output } = Operations.method.listOperations;
    return this.#call("ListOperations", options, (common) =>
      this.subject.call({ ...common, input, output, request }),
    );
  }

  /**
   * Services bind the name of a list as `{parent}` or as `{parent}/operations`. One call for each
   * protocol finds out; the first form is kept unless only the second one is accepted.
   */
  async #listName(parent: string, options: CallOptions): Promise<string> {
    const suffix = "/operations";
    if (parent === "" || parent === "operations" || parent.endsWith(suffix)) return parent;
    const key = `list name ${options.protocol ?? this.protocol}`;
    const isRefused = async (name: string) => {
      const owner = { protocol: options.protocol, raw: true };
      const answer = await this.#listNamed({ name, pageSize: 1 }, owner);
      return isStatus(answer, "INVALID_ARGUMENT") || isStatus(answer, "NOT_FOUND");
    };
    const finding =
      this.subject.shared.get(key) ??
      (async () => (await isRefused(parent)) && !(await isRefused(parent + suffix)))();
    this.subject.shared.set(key, finding);
    finding.catch(() => this.subject.shared.delete(key));
    return (await finding) === true ? parent + suffix : parent;
  }

  async #call<A extends Answer>(
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
      sinceMs: this.#sinceMs,
    });
    if (sending === undefined) throw new Unimplemented(`${protocol} has no binding for ${method}`);
    const answer = await sending;
    this.#signal.throwIfAborted();
    this.calls.push(answer.call);
    if (!options.raw && isStatus(answer, "UNIMPLEMENTED")) {
      if (method === "GetOperation") {
        throw new NotExercised("GetOperation answers UNIMPLEMENTED: see get.required");
      }
      throw new Unimplemented(`the server answers ${method} with UNIMPLEMENTED`);
    }
    return answer;
  }

  // Judgements.

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
    throw this.late(tookMs - limitMs, expected, actual, answer.delay);
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

  // Time.

  /** Resolves after a time; rejects when the case's time is over. */
  sleep(ms: number): Promise<void> {
    this.#signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const wakeUp = () => {
        clearTimeout(timer);
        this.#sleepers.delete(wakeUp);
        if (this.#signal.aborted) reject(this.#signal.reason);
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

  // Starts.

  /** Parent of the operations: declared, derived from a name, or `operations`. */
  async parent(at = 0): Promise<string> {
    const declared = this.description.parents?.[at];
    if (declared !== undefined) return declared;
    const started = await this.#someNameOrNone();
    return started === undefined ? "operations" : parentOf(started.name);
  }

  get hasParents(): boolean {
    return this.description.parents !== undefined;
  }

  /** The first kind that the subject can start. */
  kindFor(letter: "d" | "r" | "any"): StartKind {
    const kinds: readonly StartKind[] =
      letter === "d"
        ? ["succeeds", "fails"]
        : letter === "r"
          ? ["runsUntilCancelled", "ignoresCancel", "takes"]
          : ["succeeds", "fails", "takes", "runsUntilCancelled", "ignoresCancel"];
    const kind = kinds.find((one) => needOf(this.subject, one) !== undefined);
    if (kind === undefined) {
      throw new NotExercised(`the subject has none of the needs ${kinds.join(", ")}`);
    }
    return kind;
  }

  /** Some operation that exists, started once for a run. */
  async someName(): Promise<Started> {
    this.#some ??= await this.start(this.kindFor("any"));
    return this.#some;
  }
  #some: Started | undefined;

  /** Sends one start and returns the answer, whatever it is. */
  async tryStart(kind: StartKind, options: StartOptions = {}) {
    const protocol = options.protocol ?? this.protocol;
    const started = await startOnce(
      this.subject,
      kind,
      {
        parent: options.parent ?? this.description.parents?.[0] ?? "",
        ms: options.ms ?? this.budgets.slackMs,
        uuid: this.random.uuid(),
        requestId: options.requestId,
        validateOnly: options.validateOnly ?? false,
        opaque: options.opaque ?? false,
      },
      {
        protocol,
        identity: options.identity,
        isolated: options.isolated ?? false,
        sinceMs: this.#sinceMs,
      },
    );
    this.#signal.throwIfAborted();
    if (started.answer !== undefined) this.calls.push(started.answer.call);
    return started;
  }

  /** Starts an operation, or ends the case. */
  async start(kind: StartKind, options: StartOptions = {}): Promise<Started> {
    for (let tries = 1; ; tries += 1) {
      const start = await this.tryStart(kind, options);
      const { answer, operation } = start;
      if (operation !== undefined && operation.name !== "") {
        const started = { ...start, operation, kind, name: operation.name };
        if (!start.isPrepared && !operation.done) this.#running.push(started);
        return started;
      }
      const mayPass =
        answer !== undefined &&
        (isStatus(answer, "ABORTED") ||
          isStatus(answer, "RESOURCE_EXHAUSTED") ||
          isStatus(answer, "UNAVAILABLE"));
      if (mayPass && tries < maxStartTries) {
        await this.sleep(this.budgets.slackMs);
        continue;
      }
      const text =
        answer?.message === undefined ? (answer?.text ?? "") : "an operation without a name";
      const need = needOf(this.subject, kind);
      if (typeof need === "object" && need.required === true) {
        throw this.failure(`the start of the required need "${kind}" succeeds`, text);
      }
      throw new NotExercised(`the start of the need "${kind}" answered ${text}`);
    }
  }

  /** Leaves an operation running after this run; the suite's end cancels it. */
  keep({ name }: Started): void {
    const at = this.#running.findIndex((started) => started.name === name);
    if (at >= 0) this.#running.splice(at, 1);
    this.subject.leftovers.push(name);
  }

  /** Starts an operation and waits until it is done. */
  async done(kind: StartKind = this.kindFor("d"), options: StartOptions = {}) {
    const started = await this.start(kind, options);
    const operation = await this.untilDone(started.name, options);
    return { ...started, operation };
  }

  /** Polls GetOperation until the operation is done, or ends the case. */
  async untilDone(
    name: string,
    options: { readonly protocol?: Protocol | undefined } = {},
  ): Promise<Operation> {
    const operation = await this.poll(this.budgets.caseMs / 2, async () => {
      const { message } = await this.get(name, { protocol: options.protocol });
      return message?.done ? message : undefined;
    });
    if (operation === undefined) throw new NotExercised(`"${name}" did not come to its end`);
    return operation;
  }

  /** Starts an operation that runs, as the first GetOperation confirms. */
  async running(kind: StartKind = this.kindFor("r"), options: StartOptions = {}): Promise<Started> {
    const started = await this.start(kind, options);
    const first = await this.poll(this.budgets.settleMs, async () => {
      const answer = await this.get(started.name, { protocol: options.protocol });
      return answer.message;
    });
    if (first === undefined)
      throw new NotExercised(`"${started.name}" was not found after its start`);
    if (first.done) throw new NotExercised(`"${started.name}" was done at the first GetOperation`);
    return { ...started, operation: first };
  }

  /** A name that the server never gave out, and whether it is a guess. */
  async unknownName(): Promise<{ name: string; isGuess: boolean }> {
    const declared = this.description.unknownName;
    if (declared !== undefined) return { name: declared, isGuess: false };
    const started = await this.#someNameOrNone();
    const name =
      started === undefined ? "operations/conformance-unknown" : this.nameLike(started.name);
    return { name, isGuess: true };
  }

  /** Returns some operation, undefined if the subject cannot start one. */
  async #someNameOrNone(): Promise<Started | undefined> {
    try {
      return await this.someName();
    } catch (error) {
      if (error instanceof NotExercised) return undefined;
      throw error;
    }
  }

  /** A name with another id of the same kind. */
  nameLike(name: string): string {
    const at = name.lastIndexOf("/") + 1;
    const id = name.slice(at);
    return name.slice(0, at) + idLike(id, this.random);
  }

  /** All pages of a list. Ends the case if the list does not end in time. */
  async walk(request: ListRequest, options: CallOptions = {}): Promise<Walk> {
    const pages: ListOperationsResponse[] = [];
    let earlierToken: string | undefined;
    const endMs = this.#sinceMs + this.budgets.caseMs * 0.8;
    let pageToken = "";
    for (;;) {
      const answer = await this.list({ ...request, pageToken }, options);
      const page = this.page(answer, request);
      pages.push(page);
      if (page.nextPageToken === "") {
        return { pages, operations: pages.flatMap(({ operations }) => operations) };
      }
      const isLoop =
        page.nextPageToken === pageToken &&
        pageToken === earlierToken &&
        namesIn(page) === namesIn(pages.at(-2));
      if (isLoop) {
        throw this.failure(
          "page tokens lead to the end of the list",
          `the same page and the same token twice, after ${pages.length} pages`,
        );
      }
      earlierToken = pageToken;
      pageToken = page.nextPageToken;
      if (performance.now() > endMs)
        throw new NotExercised(`the list did not end in ${pages.length} pages`);
    }
  }

  /** The page of an answer. A refused guess of the parent ends the case. */
  page(answer: Answer<ListOperationsResponse>, request: ListRequest): ListOperationsResponse {
    const isGuess = request.name === undefined && !this.hasParents;
    if (isGuess && (isStatus(answer, "INVALID_ARGUMENT") || isStatus(answer, "NOT_FOUND"))) {
      throw new NotExercised(
        `ListOperations does not take the guessed parent (${answer.text}); declare "parents"`,
      );
    }
    return this.ok(answer, "OK and a page of operations");
  }

  /** Returns whether the subject reports the state of work. */
  get canProbe(): boolean {
    return this.description.probe !== undefined || this.description.driver === true;
  }

  /** State of the work; undefined if the subject does not know it. */
  async probe(name: string): Promise<WorkState | undefined> {
    const { probe } = this.description;
    if (probe !== undefined) return probe(name);
    const { work } = await this.#probe(name);
    switch (work) {
      case ProbeResponse_Work.RUNNING:
        return "running";
      case ProbeResponse_Work.ENDED:
        return "ended";
      case ProbeResponse_Work.STOPPED:
        return "stopped";
      default:
        return undefined;
    }
  }

  /** Number of operations whose work has begun; undefined without the driver. */
  async begun(): Promise<bigint | undefined> {
    if (this.description.probe !== undefined && this.description.driver !== true) return undefined;
    return (await this.#probe("")).begun;
  }

  async #probe(name: string) {
    const protocol = this.protocol === "rest" ? this.subject.protocols[0] : this.protocol;
    const answer = await this.subject.call({
      protocol: protocol ?? this.protocol,
      service: Driver.typeName,
      method: "Probe",
      input: ProbeRequestSchema,
      output: ProbeResponseSchema,
      request: { name },
      sinceMs: this.#sinceMs,
    });
    if (answer?.message === undefined) {
      throw new NotExercised(`the driver's Probe answered ${answer?.text ?? "nothing"}`);
    }
    this.calls.push(answer.call);
    return answer.message;
  }

  /** Cancels the operations that this run started and that still run. Never rejects. */
  async cleanUp(): Promise<void> {
    const { input, output } = Operations.method.cancelOperation;
    if (isDeclaredAbsent(this.description, "CancelOperation")) return;
    await Promise.all(
      this.#running
        .filter(({ kind }) => kind === "runsUntilCancelled" || kind === "parallel")
        .map(({ name }) =>
          this.subject
            .call({
              protocol: this.protocol,
              service: Operations.typeName,
              method: "CancelOperation",
              input,
              output,
              request: { name },
              limitMs: this.budgets.slackMs,
              sinceMs: this.#sinceMs,
            })
            ?.catch(() => undefined),
        ),
    );
  }
}

/** Whether an answer is a status that may stand for the code. */
export function isStatus({ status }: Answer, code: CodeName): boolean {
  return status?.codes.includes(rpcCode[code]) ?? false;
}

/** The parent in an operation's name; `operations` for names without one. */
export function parentOf(name: string): string {
  const parent =
    parseOperationName(name)?.parent ?? name.slice(0, Math.max(0, name.lastIndexOf("/")));
  return parent === "" ? "operations" : parent;
}

function idLike(id: string, random: Random): string {
  if (/^[0-9a-f]{8}-/.test(id)) return random.uuid();
  if (/^\d+$/.test(id)) return id.replace(/\d/g, () => String(1 + random.below(9)));
  if (/^[0-9a-f]+$/.test(id)) return id.replace(/./g, () => random.below(16).toString(16));
  return "conformance-unknown";
}

function namesIn(page: ListOperationsResponse | undefined): string {
  return (page?.operations ?? []).map(({ name }) => name).join("\n");
}

/** How an operation ended, in words. */
export function endText({ done, result }: Operation): string {
  if (!done) return "it is not done";
  if (result.case === "error")
    return `it ended with ${codeName(result.value.code)} (${result.value.code})`;
  return result.case === "response" ? "it ended with a response" : "it is done without a result";
}
