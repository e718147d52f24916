import type { JsonObject } from "@bufbuild/protobuf";
import { parseOperationName } from "../operation/name.js";
import { type Operation, Operations } from "../protos.js";
import { codeName } from "../status/code.js";
import { CaseCalls } from "./case-calls.js";
import type { ExpectedError, HeaderFields, WorkState } from "./description.js";
import { Driver, ProbeRequestSchema, ProbeResponse_Work, ProbeResponseSchema } from "./driver.js";
import { NotExercised } from "./failure.js";
import type { Random } from "./random.js";
import { isStatus } from "./rpc-code.js";
import { needOf, type StartKind, startOnce } from "./starts.js";
import { isDeclaredAbsent } from "./subject.js";
import type { Protocol } from "./wire/answer.js";

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

/** Most tries of a start that the server refuses for its load. */
const maxStartTries = 4;

/** The operations of one run of a case: their starts, names, ends and work. */
export class CaseOperations extends CaseCalls {
  readonly #running: Started[] = [];

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
        sinceMs: this.sinceMs,
      },
    );
    this.signal.throwIfAborted();
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
      sinceMs: this.sinceMs,
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
              sinceMs: this.sinceMs,
            })
            ?.catch(() => undefined),
        ),
    );
  }
}

/** Returns the parent in an operation's name; `operations` for names without one. */
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

/** How an operation ended, in words. */
export function endText({ done, result }: Operation): string {
  if (!done) return "it is not done";
  if (result.case === "error")
    return `it ended with ${codeName(result.value.code)} (${result.value.code})`;
  return result.case === "response" ? "it ended with a response" : "it is done without a result";
}
