import { create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs, EmptySchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createRouterTransport, type Transport } from "@connectrpc/connect";
import type { Clock } from "../../src/internal/clock.js";
import { type Operation, Operations, RetryInfoSchema } from "../../src/protos.js";
import { PrintService } from "../gen/printing/v1/printing_pb.js";
import { failed, fault, running, succeeded } from "./scripted-server.js";

/** What the server does with one look. */
export type Draw =
  /** Answers as it should: GetOperation at once, WaitOperation at the end or its timeout. */
  | { readonly does: "answer" }
  /** WaitOperation is answered at once, done or not. */
  | { readonly does: "answerEarly" }
  /** The answer takes its time, and shows the state at its end. */
  | { readonly does: "answerSlowly"; readonly afterMs: number }
  /** There is no answer. */
  | { readonly does: "hang" }
  /** The call fails; `retryMs` is a hint by RetryInfo. */
  | { readonly does: "fail"; readonly code: Code; readonly retryMs: number | undefined }
  /** A replica that does not know of the start yet, for as long as a client must bear it. */
  | { readonly does: "lag" }
  /** What the last answer showed. */
  | { readonly does: "repeat" }
  /** A replica that lags behind: the state of so long ago, also once it has shown the end. */
  | { readonly does: "showOld"; readonly ageMs: number };

/** The operation, and how its server takes looks. Times count from its start, in milliseconds. */
export interface FaultScript {
  readonly draws: readonly Draw[];
  /** When it is done; 0 for one that is done from the start. */
  readonly doneAtMs: number;
  readonly end: "succeeded" | "failed" | "cancelled";
  /** How often its metadata changes. */
  readonly changesEveryMs: number;
  readonly hasWait: boolean;
  /** How long NOT_FOUND may come after the start; 0 for one that is not fresh. */
  readonly graceMs: number;
  /** What comes of a cancellation: nothing ever, whatever the answer is. */
  readonly cancel: "answer" | "hang" | "fail";
}

/**
 * How a look ended, as the client must see it: a call that was not answered in its time has
 * `failed`, one that the client gave up because nobody wanted it any more was `cut`.
 */
export type LookEnd = "shown" | "failed" | "unknown" | "cut";

export interface FaultyServer {
  readonly transport: Transport;
  /** Draw from now on; before, each look is answered at once. */
  begin(): void;
  /** The looks that have ended, in that order. */
  readonly looks: readonly { readonly atMs: number; readonly end: LookEnd }[];
  /** When a client was first shown the end; undefined before. */
  endShownAtMs(): number | undefined;
  /** How many calls are neither answered nor given up. */
  open(): number;
}

/** The codes by which Connect shows a server that is away or a connection that broke. */
export const passingCodes = [
  Code.Unavailable,
  Code.Aborted,
  Code.Canceled,
  Code.Unknown,
  Code.Internal,
  Code.DeadlineExceeded,
  Code.ResourceExhausted,
] as const;

/** The server draws what it does with each look; when nothing is left to draw it answers as it should. */
export function createFaultyServer(clock: Clock, script: FaultScript): FaultyServer {
  const startMs = clock.nowMs();
  const looks: { atMs: number; end: LookEnd }[] = [];
  let drawing = false;
  let drawn = 0;
  let open = 0;
  let last: Operation | undefined;
  let endShownAtMs = script.doneAtMs === 0 ? 0 : undefined;
  const nowMs = () => clock.nowMs() - startMs;

  const stateAt = (atMs: number): Operation => {
    if (atMs < script.doneAtMs) return running(Math.floor(atMs / script.changesEveryMs));
    if (script.end === "succeeded") return succeeded(endPages);
    return failed(script.end === "failed" ? endCode : Code.Canceled, endMessage);
  };
  const note = (end: LookEnd) => looks.push({ atMs: nowMs(), end });
  const show = (operation: Operation) => {
    note("shown");
    last = operation;
    if (operation.done) endShownAtMs ??= nowMs();
    return operation;
  };

  /** Resolves after a time; rejects if the client gives up before. */
  const hold = (holdMs: number, signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      // A call may be given up before it is handled.
      signal.throwIfAborted();
      const onAbort = () => {
        unschedule();
        reject(signal.reason);
      };
      const unschedule = clock.schedule(holdMs, () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      });
      signal.addEventListener("abort", onAbort, { once: true });
    });
  const hang = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      signal.throwIfAborted();
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });

  /** Do what was drawn. `heldMs` is how long the client wants to wait for the end. */
  const answer = async (heldMs: number, signal: AbortSignal): Promise<Operation> => {
    const draw = script.draws[drawn] ?? { does: "answer" };
    drawn += 1;
    switch (draw.does) {
      case "fail":
        note("failed");
        throw draw.retryMs === undefined ? fault(draw.code) : hintOf(draw.code, draw.retryMs);
      case "lag":
        if (last !== undefined || nowMs() >= script.graceMs) break;
        note("unknown");
        throw fault(Code.NotFound);
      case "repeat":
        if (last !== undefined) return show(last);
        break;
      case "showOld":
        return show(stateAt(Math.max(0, nowMs() - draw.ageMs)));
      case "answerEarly":
        return show(stateAt(nowMs()));
      case "answerSlowly":
        await hold(draw.afterMs, signal);
        return show(stateAt(nowMs()));
      case "hang":
        return hang(signal);
      case "answer":
        break;
    }
    const leftMs = Math.min(heldMs, script.doneAtMs - nowMs());
    if (leftMs > 0) await hold(leftMs, signal);
    return show(stateAt(nowMs()));
  };

  /** Count a call as open until it is answered or its client has given it up. */
  const counted = async <T>(call: Promise<T>): Promise<T> => {
    open += 1;
    try {
      return await call;
    } finally {
      open -= 1;
    }
  };
  const look = async (heldMs: number, signal: AbortSignal): Promise<Operation> => {
    try {
      return await counted(drawing ? answer(heldMs, signal) : Promise.resolve(stateAt(nowMs())));
    } catch (error) {
      if (signal.aborted) note(isTimeout(signal.reason) ? "failed" : "cut");
      throw error;
    }
  };

  const transport = createRouterTransport((router) => {
    router.rpc(PrintService.method.print, () => stateAt(0));
    router.service(Operations, {
      getOperation: (_, { signal }) => look(0, signal),
      waitOperation({ timeout }, { signal }) {
        if (!script.hasWait) throw fault(Code.Unimplemented);
        const heldMs = timeout === undefined ? Number.POSITIVE_INFINITY : durationMs(timeout);
        return look(heldMs, signal);
      },
      async cancelOperation(_, { signal }) {
        if (script.cancel === "fail") throw fault(Code.Unavailable);
        if (script.cancel === "hang") await counted(hang(signal)).catch(() => undefined);
        return create(EmptySchema);
      },
    });
  });
  return {
    transport,
    begin() {
      drawing = true;
    },
    looks,
    endShownAtMs: () => endShownAtMs,
    open: () => open,
  };
}

/** How the operation ends, where that is a response or a failure. */
export const endPages = 7;
export const endCode = Code.FailedPrecondition;
const endMessage = "no paper";

/** Whether the client gave a call up because it took too long; in process, the reason comes along. */
function isTimeout(reason: unknown): boolean {
  return reason instanceof ConnectError && reason.code === Code.DeadlineExceeded;
}

function hintOf(code: Code, retryMs: number): ConnectError {
  const value = { retryDelay: durationFromMs(retryMs) };
  return new ConnectError("", code, undefined, [{ desc: RetryInfoSchema, value }]);
}
