import { create } from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  createRouterTransport,
  type ServiceImpl,
  type Transport,
} from "@connectrpc/connect";
import { pack } from "../../src/any/index.js";
import {
  type ClientOptions,
  createOperationsClient,
  type OperationsClient,
} from "../../src/index.js";
import { type Operation, Operations } from "../../src/protos.js";
import { createManualClock, type ManualClock } from "../../src/testing/index.js";
import {
  PrintMetadataSchema,
  type PrintRequest,
  PrintResponseSchema,
  PrintService,
} from "../gen/printing/v1/printing_pb.js";
import { anOperation } from "./an-operation.js";

/** What a server says to one look: a state, or the error that it throws. */
export type Answer = Operation | ConnectError;

/** A server that starts an operation and answers looks at it from a script, a client of it, and what it was asked. */
export interface ScriptedServer {
  readonly clock: ManualClock;
  readonly client: OperationsClient;
  readonly transport: Transport;
  /** The looks, with their times in milliseconds since the server was made. */
  readonly looks: { method: "get" | "wait"; atMs: number; header: Headers }[];
  /** Times of the GetOperation calls. */
  getsAt(): number[];
  /** How many cancellations were asked for. */
  readonly cancels: () => number;
}

/** What it does besides. */
export interface Script {
  /** Answers to GetOperation one after the other; the last one stays. */
  get?: readonly [Answer, ...Answer[]];
  /** WaitOperation; absent: UNIMPLEMENTED with an empty message, as some servers say it. */
  wait?: ServiceImpl<typeof Operations>["waitOperation"];
  cancel?: ServiceImpl<typeof Operations>["cancelOperation"];
  /** The answer to a start. Default: a running operation. */
  start?: (request: PrintRequest) => Operation;
  options?: ClientOptions;
}

export function createScriptedServer(script: Script): ScriptedServer {
  const clock = createManualClock();
  const startMs = clock.nowMs();
  const looks: ScriptedServer["looks"] = [];
  let gets = 0;
  let cancels = 0;
  const note = (method: "get" | "wait", header: Headers) => {
    looks.push({ method, atMs: clock.nowMs() - startMs, header });
  };
  const service: Partial<ServiceImpl<typeof Operations>> = {
    getOperation(_, { requestHeader }) {
      note("get", requestHeader);
      const answers = script.get ?? [running(0)];
      const answer = answers[Math.min(gets, answers.length - 1)] ?? answers[0];
      gets += 1;
      if (answer instanceof ConnectError) throw answer;
      return answer;
    },
    waitOperation(request, context) {
      note("wait", context.requestHeader);
      if (script.wait === undefined) throw new ConnectError("", Code.Unimplemented);
      return script.wait(request, context);
    },
    cancelOperation(request, context) {
      cancels += 1;
      return script.cancel?.(request, context) ?? create(EmptySchema);
    },
  };
  const transport = createRouterTransport((router) => {
    router.service(Operations, service);
    router.rpc(PrintService.method.print, (request) => script.start?.(request) ?? running());
  });
  return {
    clock,
    transport,
    client: createOperationsClient(transport, { clock, poll: { jitter: 0 }, ...script.options }),
    looks,
    getsAt: () => looks.filter(({ method }) => method === "get").map(({ atMs }) => atMs),
    cancels: () => cancels,
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

/** An error of a look. */
export function fault(code: Code): ConnectError {
  return new ConnectError("", code);
}
