import { type Code, ConnectError, type Transport } from "@connectrpc/connect";
import { pack } from "../../src/any/index.js";
import {
  type ClientOptions,
  createOperationsClient,
  type OperationsClient,
} from "../../src/index.js";
import type { Operation } from "../../src/protos.js";
import {
  createManualClock,
  createScriptedOperations,
  type ManualClock,
  type OperationScript,
  type OperationsMethodName,
  type ScriptedCall,
} from "../../src/testing/index.js";
import { PrintMetadataSchema, PrintResponseSchema } from "../gen/printing/v1/printing_pb.js";
import { anOperation } from "./an-operation.js";
import { Print } from "./print-server.js";

/** The response of a server to one poll: a state or an error. */
export type Answer = Operation | ConnectError;

/** A scripted server whose one operation is `scriptedName`, and a client of it. */
export interface ScriptedServer {
  readonly clock: ManualClock;
  readonly client: OperationsClient;
  readonly transport: Transport;
  /** All calls that it got. */
  readonly calls: readonly ScriptedCall[];
  /** The polls since the last `forgetLooks`, with their times in milliseconds since the server was made. */
  looks(): { readonly method: string; readonly atMs: number; readonly call: ScriptedCall }[];
  /** Times of the GetOperation calls among them. */
  getsAt(): number[];
  forgetLooks(): void;
  /** How many cancellations were asked for. */
  cancels(): number;
}

type PrintScript = OperationScript<typeof PrintResponseSchema, typeof PrintMetadataSchema>;

/** The life of the operation: by its states and looks, or by `get`. */
export interface Script extends PrintScript {
  /** Answers to looks one after the other; the last one stays. Default: it runs, and 0 pages are printed. */
  get?: readonly [Answer, ...Answer[]];
  /** Whether there is WaitOperation. Default: UNIMPLEMENTED with an empty message, as some servers say it. */
  hasWait?: boolean;
  /** The responses to the starts, in order; later starts begin the operation anew. Default: none. */
  starts?: readonly Answer[];
  options?: ClientOptions;
}

export function createScriptedServer(script: Script): ScriptedServer {
  const { get = [running(0)], hasWait = false, starts = [], options, ...life } = script;
  const clock = createManualClock();
  const startMs = clock.nowMs();
  const without: OperationsMethodName[] = hasWait ? [] : ["WaitOperation"];
  const { transport, calls, count, handle, add } = createScriptedOperations({ clock, without });
  const begunBy = (start: Operation) => ({ name: scriptedName, ...lifeOf(start, get), ...life });
  const [first = begunBy(running()), ...rest] = starts.map((answer) =>
    answer instanceof ConnectError ? { fails: answer } : begunBy(answer),
  );
  handle(Print, [first, ...rest, begunBy(running())]);
  add(Print, begunBy(running()));
  let forgotten = 0;
  const looks = () =>
    calls
      .slice(forgotten)
      .filter(({ method }) => method === "GetOperation" || method === "WaitOperation")
      .map((call) => ({ method: call.method, atMs: call.atMs - startMs, call }));
  return {
    clock,
    transport,
    client: createOperationsClient(transport, { clock, poll: { jitter: 0 }, ...options }),
    calls,
    looks,
    getsAt: () =>
      looks()
        .filter(({ method }) => method === "GetOperation")
        .map(({ atMs }) => atMs),
    forgetLooks() {
      forgotten = calls.length;
    },
    cancels: () => count("CancelOperation"),
  };
}

/** The states and the polls of an operation that shows these answers after its start, poll by poll. */
function lifeOf(start: Operation, answers: readonly [Answer, ...Answer[]]): PrintScript {
  const shown = answers.flatMap((answer) =>
    answer instanceof ConnectError ? [] : [{ operation: answer }],
  );
  return {
    states: [{ operation: start }, ...shown],
    polls({ number }) {
      const answer = answers[Math.min(number, answers.length) - 1];
      return answer instanceof ConnectError ? { fails: answer } : "answer";
    },
  };
}

/** The name that all of a script's states have. */
export const scriptedName = "operations/op-1";

/** A state on the way. */
export function running(pagesPrinted?: number): Operation {
  return anOperation({
    metadata: pagesPrinted === undefined ? undefined : pack(PrintMetadataSchema, { pagesPrinted }),
  });
}

/** The end, with a response. */
export function succeeded(pages: number, pagesPrinted?: number): Operation {
  return anOperation({
    ...running(pagesPrinted),
    done: true,
    result: { case: "response", value: pack(PrintResponseSchema, { pages }) },
  });
}

/** The end, with an error. */
export function failed(code: Code, message = ""): Operation {
  return anOperation({ done: true, result: { case: "error", value: { code, message } } });
}

/** An error of a poll. */
export function fault(code: Code): ConnectError {
  return new ConnectError("", code);
}
