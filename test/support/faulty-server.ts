import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  createRouterTransport,
  type HandlerContext,
  type Transport,
} from "@connectrpc/connect";
import type { Clock } from "../../src/internal/clock.js";
import { type Operation, Operations, RetryInfoSchema } from "../../src/protos.js";
import {
  type CancelScript,
  createScriptedOperations,
  type OperationsMethodName,
  type PollScript,
} from "../../src/testing/index.js";
import { Print } from "./print-server.js";
import { failed, running, scriptedName, succeeded } from "./scripted-server.js";

/** The treatment of one poll by the server. */
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
  /** A replica that does not have the operation yet, for as long as a client must tolerate it. */
  | { readonly does: "lag" }
  /** The state of the last response. */
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
  /** The response to a cancellation, which never has an effect. */
  readonly cancel: "answer" | "hang" | "fail";
}

/**
 * The end of a poll for the client: a call without a response in time has `failed`, a call that the
 * client aborted without need for it was `cut`.
 */
export type LookEnd = "shown" | "failed" | "unknown" | "cut";

export interface FaultyServer {
  readonly transport: Transport;
  /** Begins the draws. Before, the server responds to each poll at once. */
  begin(): void;
  /** The polls that have ended, in that order. */
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

/** Creates a server that takes one draw for each poll. After the last draw it works as it should. */
export function createFaultyServer(clock: Clock, script: FaultScript): FaultyServer {
  const startMs = clock.nowMs();
  const looks: { atMs: number; end: LookEnd }[] = [];
  let drawing = false;
  let drawn = 0;
  /** The age of the state that the current poll shows: polls come one by one. */
  let lagMs = 0;
  /** The time of the latest state that was shown; undefined before the first. */
  let shownOfMs: number | undefined;
  let endShownAtMs = script.doneAtMs === 0 ? 0 : undefined;
  const nowMs = () => clock.nowMs() - startMs;

  const draw = (): PollScript => {
    if (!drawing) return "early";
    const next = script.draws[drawn] ?? { does: "answer" };
    drawn += 1;
    switch (next.does) {
      case "fail":
        return { fails: next.retryMs === undefined ? next.code : hintOf(next.code, next.retryMs) };
      case "lag":
        return shownOfMs === undefined && nowMs() < script.graceMs
          ? { fails: Code.NotFound }
          : "answer";
      case "repeat":
        return shownOfMs === undefined ? "answer" : { lagMs: nowMs() - shownOfMs };
      case "showOld":
        return { lagMs: next.ageMs };
      case "answerEarly":
        return "early";
      case "answerSlowly":
        return { delayMs: next.afterMs };
      case "hang":
      case "answer":
        return next.does;
    }
  };
  const without: OperationsMethodName[] = script.hasWait ? [] : ["WaitOperation"];
  const scripted = createScriptedOperations({ clock, without });
  const operation = {
    name: scriptedName,
    states: statesOf(script),
    polls() {
      const look = draw();
      lagMs = typeof look === "object" && "lagMs" in look ? look.lagMs : 0;
      return look;
    },
    cancel: cancels[script.cancel],
  };
  const start = scripted.handle(Print, operation);
  scripted.add(Print, operation);

  /** Serves a poll, and records its end. */
  const noted = async <Request>(
    look: (request: Request, context: HandlerContext) => ReturnType<typeof getOperation>,
    request: Request,
    context: HandlerContext,
  ) => {
    if (!drawing) return look(request, context);
    const { signal } = context;
    const note = (end: LookEnd) => looks.push({ atMs: nowMs(), end });
    try {
      const shown = await look(request, context);
      note("shown");
      shownOfMs = Math.max(0, nowMs() - lagMs);
      if (shown.done) endShownAtMs ??= nowMs();
      return shown;
    } catch (error) {
      if (signal.aborted) note(isTimeout(signal.reason) ? "failed" : "cut");
      else note(ConnectError.from(error).code === Code.NotFound ? "unknown" : "failed");
      throw error;
    }
  };
  const { getOperation, waitOperation, ...others } = scripted.service;
  const transport = createRouterTransport((router) => {
    router.rpc(Print.method, start);
    router.service(Operations, {
      ...others,
      getOperation: (request, context) => noted(getOperation, request, context),
      waitOperation: (request, context) =>
        script.hasWait ? noted(waitOperation, request, context) : waitOperation(request, context),
    });
  });
  return {
    transport,
    begin() {
      drawing = true;
    },
    looks,
    endShownAtMs: () => endShownAtMs,
    open: () => scripted.calls.filter(({ state }) => state === "open").length,
  };
}

/** How the operation ends, where that is a response or a failure. */
export const endPages = 7;
export const endCode = Code.FailedPrecondition;
const endMessage = "no paper";

const cancels: Record<FaultScript["cancel"], CancelScript> = {
  answer: "ignored",
  hang: "hang",
  fail: { fails: Code.Unavailable },
};

/** The states on the way, and the end. */
function statesOf({ changesEveryMs, doneAtMs, end }: FaultScript) {
  const states: { afterMs: number; operation: Operation }[] = [];
  for (let count = 0; count * changesEveryMs < doneAtMs; count += 1) {
    states.push({ afterMs: count * changesEveryMs, operation: running(count) });
  }
  const code = end === "failed" ? endCode : Code.Canceled;
  const operation = end === "succeeded" ? succeeded(endPages) : failed(code, endMessage);
  return [...states, { afterMs: doneAtMs, operation }];
}

/** Whether the client gave a call up because it took too long; in process, the reason comes along. */
function isTimeout(reason: unknown): boolean {
  return reason instanceof ConnectError && reason.code === Code.DeadlineExceeded;
}

function hintOf(code: Code, retryMs: number): ConnectError {
  const value = { retryDelay: durationFromMs(retryMs) };
  return new ConnectError("", code, undefined, [{ desc: RetryInfoSchema, value }]);
}
