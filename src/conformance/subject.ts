import {
  create,
  createRegistry,
  type DescMessage,
  type DescMethod,
  type FileRegistry,
  type JsonValue,
  type Message,
  type MessageInitShape,
  type MessageShape,
  type Registry,
} from "@bufbuild/protobuf";
import { typeRegistryOf } from "../any/type-registry.js";
import { type Operation, OperationSchema, Operations } from "../protos.js";
import { beginCall, causeText } from "./call-limit.js";
import { type Budgets, budgetsOf, type MethodName, type SubjectOptions } from "./description.js";
import { Driver } from "./driver.js";
import { base64Of, type CallEvidence, createMask, responseHeadersOf } from "./evidence.js";
import { createLedger, type Ledger } from "./ledger.js";
import { createLoopDelay, type LoopDelay, type LoopDelayReading } from "./loop-delay.js";
import { reflectFiles } from "./reflection.js";
import {
  type Caller,
  MalformedResponse,
  type Protocol,
  protocols,
  type Sent,
  statusName,
  type WireAnswer,
  type WireStatus,
} from "./wire/answer.js";
import { createConnectCaller } from "./wire/connect-caller.js";
import { createFetchExchange } from "./wire/fetch-exchange.js";
import { createGrpcCaller } from "./wire/grpc-caller.js";
import { openHttp2Exchange } from "./wire/http2-exchange.js";
import { factsFromBytes, factsFromJson } from "./wire/operation-facts.js";
import type { OpenExchange, RawExchange } from "./wire/raw-exchange.js";
import { createRestCaller, type RestBindings } from "./wire/rest-caller.js";
import { createTolerantJson, type TolerantJson } from "./wire/tolerant-json.js";

/** The result of a call, as cases judge it. */
export interface Answer<M extends Message = Message> {
  /** Message of a successful call. */
  readonly message: M | undefined;
  /** Status other than OK. */
  readonly status: WireStatus | undefined;
  /** Reason for a missing answer. */
  readonly fault: { readonly kind: FaultKind; readonly text: string } | undefined;
  /** OK, the code's name, or the fault's text. */
  readonly text: string;
  readonly json: JsonValue | undefined;
  readonly startMs: number;
  readonly endMs: number;
  /** Time that the answer was allowed to take, in milliseconds. */
  readonly limitMs: number;
  /** Delay of the event loop during the call. */
  readonly delay: LoopDelayReading;
  readonly call: CallEvidence;
}

/**
 * Reason for a missing answer: the connection failed, the response breaks the protocol, the time
 * of the runner was over, or the call's own deadline was.
 */
export type FaultKind = "connection" | "malformed" | "no-answer" | "deadline" | "aborted";

/** One call to the subject. */
export interface CallInit<I extends DescMessage, O extends DescMessage> {
  readonly protocol: Protocol;
  readonly service: string;
  readonly method: string;
  readonly input: I;
  readonly output: O;
  readonly request: MessageInitShape<I>;
  /** In addition to the subject's. An undefined set means the owner's identity. */
  readonly identity?: Readonly<Record<string, string>> | undefined;
  readonly deadlineMs?: number | undefined;
  /** Time for the answer, in milliseconds. Default: the budget `answerMs`. */
  readonly limitMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly isolated?: boolean | undefined;
  /** Time that evidence counts from. */
  readonly sinceMs: number;
}

/** An open subject. */
export interface Subject {
  readonly description: SubjectOptions;
  readonly budgets: Budgets;
  readonly seed: number;
  /** Protocols of the description, in the suite's order. */
  readonly protocols: readonly Protocol[];
  /** Payload types that are known, those of google.rpc included. */
  readonly types: Registry;
  readonly json: TolerantJson;
  readonly ledger: Ledger;
  readonly loopDelay: LoopDelay;
  /** Cases that failed, as `id protocol`. */
  readonly failed: Set<string>;
  /** Names of a need's `names` that were handed out. */
  readonly consumed: Set<string>;
  /** Values that several cases use, by their keys. */
  readonly shared: Map<string, Promise<unknown>>;
  /** Operations that still run at the end. */
  readonly leftovers: string[];
  readonly mask: ReturnType<typeof createMask>;
  call<I extends DescMessage, O extends DescMessage>(
    init: CallInit<I, O>,
  ): Promise<Answer<MessageShape<O>>> | undefined;
  /** Raw HTTP on the REST address; undefined without one. */
  readonly rest:
    | { readonly url: string; readonly bindings: RestBindings; readonly exchange: RawExchange }
    | undefined;
  /** Descriptor of `package.Service/Method`; undefined if no source has it. */
  methodOf(fullName: string): Promise<DescMethod | undefined>;
  /** Closes connections. The server continues. */
  close(): Promise<void>;
}

/** The usual bindings, which the proto declares. */
function defaultBindings(rest: Partial<RestBindings>): RestBindings {
  const { get = "GET /v1/{name}" } = rest;
  if (Object.keys(rest).some((key) => key !== "get" && key !== "url")) return { ...rest, get };
  return {
    get,
    list: "GET /v1/{parent}/operations",
    cancel: "POST /v1/{name}:cancel",
    delete: "DELETE /v1/{name}",
  };
}

/**
 * Opens a subject: prepares the connections, and reads descriptors by reflection if the
 * description lacks them. No call of the Operations service is made.
 *
 * @throws RangeError if the description contradicts itself.
 */
export async function openSubject(description: SubjectOptions): Promise<Subject> {
  const budgets = budgetsOf(description);
  const seed = description.seed ?? Math.floor(Math.random() * 2 ** 32);
  const open: OpenExchange[] = [];
  const { exchange: given } = description;
  const fetchExchange = given ?? createFetchExchange(description.fetch ?? globalThis.fetch);
  let grpcExchange = given;
  if (grpcExchange === undefined && description.protocols.grpc !== undefined) {
    const http2 = await openHttp2Exchange(description.tls);
    open.push(http2);
    grpcExchange = http2.exchange;
  }
  const named = protocols.filter((protocol) => description.protocols[protocol] !== undefined);
  if (named.length === 0) throw new RangeError("the subject names no protocol");
  const commonHeaders = Object.entries(description.headers ?? {});
  const ownerHeaders = description.identities?.owner ?? {};
  const credentials = Object.entries({
    ...description.headers,
    ...description.identities?.owner,
    ...description.identities?.stranger,
  })
    .filter(([name]) => /^authorization$|cookie|key|token|secret/i.test(name))
    .map(([, value]) => value);
  const mask = createMask([...(description.secrets ?? []), ...credentials]);

  const driverTypes = createRegistry(Driver.file);
  const usesDriver =
    description.driver === true ||
    Object.values(description.needs ?? {}).some(
      (need) => typeof need === "object" && "driver" in need,
    );
  let files: FileRegistry | undefined = description.descriptors;
  const grpcUrl = description.protocols.grpc;
  const rpcServices = [
    ...new Set(
      Object.values(description.needs ?? {}).flatMap((need) =>
        typeof need === "object" && "rpc" in need ? [need.rpc.split("/")[0] ?? ""] : [],
      ),
    ),
  ];
  if (
    files === undefined &&
    grpcUrl !== undefined &&
    grpcExchange !== undefined &&
    rpcServices.length > 0
  ) {
    files = await reflectFiles(
      trimmed(grpcUrl),
      grpcExchange,
      [...commonHeaders, ...Object.entries(ownerHeaders)],
      rpcServices,
      budgets.answerMs,
    );
  }
  const own = createRegistry(
    ...(files === undefined ? [] : [files]),
    ...(usesDriver ? [driverTypes] : []),
  );
  const types = typeRegistryOf([], own);
  const json = createTolerantJson(own);

  const callers = new Map<Protocol, Caller>();
  let rest: Subject["rest"];
  for (const protocol of named) {
    const address = description.protocols[protocol];
    if (address === undefined) continue;
    const url = trimmed(typeof address === "string" ? address : address.url);
    switch (protocol) {
      case "grpc":
        if (grpcExchange !== undefined) {
          callers.set(protocol, createGrpcCaller(protocol, url, grpcExchange));
        }
        break;
      case "grpc-web":
        callers.set(protocol, createGrpcCaller(protocol, url, fetchExchange));
        break;
      case "connect":
      case "connect-json":
        callers.set(protocol, createConnectCaller(protocol, url, fetchExchange, json));
        break;
      case "rest": {
        const bindings = defaultBindings(typeof address === "string" ? {} : address);
        rest = { url, bindings, exchange: fetchExchange };
        callers.set(protocol, createRestCaller(url, bindings, fetchExchange, json));
      }
    }
  }

  const ledger = createLedger(() => types);
  const loopDelay = createLoopDelay();

  const methodOf = async (fullName: string): Promise<DescMethod | undefined> => {
    const [serviceName = "", methodName] = fullName.split("/");
    const isDriver = serviceName === Driver.typeName;
    const service = files?.getService(serviceName) ?? (isDriver ? Driver : undefined);
    return service?.methods.find(({ name }) => name === methodName);
  };

  return {
    description,
    budgets,
    seed,
    protocols: named,
    types,
    json,
    ledger,
    loopDelay,
    failed: new Set(),
    consumed: new Set(),
    shared: new Map(),
    leftovers: [],
    mask,
    rest,
    methodOf,
    call: (init) => {
      const caller = callers.get(init.protocol);
      if (caller === undefined) return undefined;
      return sendCall(caller, init, {
        json,
        mask,
        ledger,
        answerMs: budgets.answerMs,
        slackMs: budgets.slackMs,
        loopDelay,
        headers: { ...description.headers, ...(init.identity ?? ownerHeaders) },
      });
    },
    async close() {
      loopDelay.close();
      for (const { close } of open) close();
    },
  };
}

function trimmed(url: string): string {
  return url.replace(/\/+$/, "");
}

function sendCall<I extends DescMessage, O extends DescMessage>(
  caller: Caller,
  init: CallInit<I, O>,
  context: {
    readonly json: TolerantJson;
    readonly mask: Subject["mask"];
    readonly ledger: Ledger;
    readonly answerMs: number;
    readonly slackMs: number;
    readonly loopDelay: LoopDelay;
    readonly headers: Readonly<Record<string, string>>;
  },
): Promise<Answer<MessageShape<O>>> | undefined {
  const { json, mask, ledger, headers } = context;
  const { slackMs, answerMs, loopDelay } = context;
  const limit = beginCall(loopDelay, init.limitMs ?? answerMs, slackMs, init.deadlineMs);
  const { startMs, limitMs, delay } = limit;
  const request = create(init.input, init.request);
  const signals = init.signal === undefined ? [limit.signal] : [limit.signal, init.signal];
  const sending = caller.send({
    service: init.service,
    method: init.method,
    input: init.input,
    output: init.output,
    request,
    headers: Object.entries(headers),
    deadlineMs: init.deadlineMs,
    signal: AbortSignal.any(signals),
    isolated: init.isolated ?? false,
  });
  if (sending === undefined) {
    limit.end();
    return undefined;
  }
  const faultOf = (error: unknown): { kind: FaultKind; text: string } => {
    if (error instanceof MalformedResponse) {
      return { kind: "malformed", text: `a malformed response: ${error.message}` };
    }
    if (init.signal?.aborted) return { kind: "aborted", text: "the client aborted the call" };
    if (limit.signal.aborted) {
      return init.deadlineMs !== undefined && init.deadlineMs <= limitMs
        ? { kind: "deadline", text: `no answer before the deadline of ${init.deadlineMs} ms` }
        : { kind: "no-answer", text: `no answer within ${Math.round(limitMs)} ms` };
    }
    return { kind: "connection", text: `a broken connection: ${causeText(error)}` };
  };
  return sending
    .then(
      (answer) => ({ answer, fault: undefined, sent: answer.sent }),
      (error: unknown) => ({
        answer: undefined,
        fault: faultOf(error),
        sent: error instanceof MalformedResponse ? error.sent : undefined,
      }),
    )
    .then(({ answer, fault, sent }) => {
      limit.end();
      const endMs = performance.now();
      const text = fault?.text ?? (answer?.status === undefined ? "OK" : statusText(answer.status));
      const call = evidenceOf(init, caller.protocol, {
        request: json.write(init.input, request),
        sent,
        text,
        startMs,
        endMs,
        response: answer && responseJson(init.output, answer, json),
        mask,
      });
      // The caller decoded the message as the call's output.
      const message = answer?.message as MessageShape<O> | undefined;
      const result: Answer<MessageShape<O>> = {
        message,
        status: answer?.status,
        fault,
        text,
        json: answer?.json,
        startMs,
        endMs,
        limitMs,
        delay,
        call,
      };
      if (answer !== undefined) recordOperations(ledger, init, answer, result);
      return result;
    });
}

function statusText(status: WireStatus): string {
  const message = status.message === "" ? "" : `: ${status.message.slice(0, 300)}`;
  return `${statusName(status)}${message}`;
}

function responseJson(
  output: DescMessage,
  { message, json: received }: WireAnswer,
  json: TolerantJson,
): JsonValue | undefined {
  if (received !== undefined) return received;
  if (message === undefined) return undefined;
  try {
    return json.write(output, message);
  } catch {
    return undefined;
  }
}

function evidenceOf(
  init: { readonly method: string; readonly sinceMs: number; readonly service: string },
  protocol: Protocol,
  parts: {
    readonly request: JsonValue;
    readonly sent: Sent | undefined;
    readonly text: string;
    readonly startMs: number;
    readonly endMs: number;
    readonly response: JsonValue | undefined;
    readonly mask: Subject["mask"];
  },
): CallEvidence {
  const { sent, mask } = parts;
  return {
    method: init.service === Operations.typeName ? init.method : `${init.service}/${init.method}`,
    protocol,
    target: mask.text(sent?.target ?? ""),
    atMs: Math.round(parts.startMs - init.sinceMs),
    tookMs: Math.round(parts.endMs - parts.startMs),
    requestHeaders: mask.headers(sent?.headers ?? []),
    request: parts.request,
    requestBytes: base64Of(sent?.body),
    result: mask.text(parts.text),
    httpStatus: sent?.response?.status,
    responseHeaders: sent === undefined ? {} : mask.headers(responseHeadersOf(sent)),
    response: parts.response,
    responseBytes: base64Of(sent?.response?.body),
  };
}

function recordOperations(
  ledger: Ledger,
  init: { readonly method: string; readonly output: DescMessage; readonly request: object },
  answer: WireAnswer,
  { startMs, endMs, call, message }: Answer,
): void {
  if (message === undefined) return;
  const isList = init.method === "ListOperations";
  if (!isList && init.output.typeName !== OperationSchema.typeName) return;
  const facts =
    answer.bytes === undefined
      ? factsFromJson(answer.json ?? {}, isList)
      : factsFromBytes(answer.bytes, isList);
  const isRead = init.method === "GetOperation" || init.method === "WaitOperation";
  const asked = isRead && "name" in init.request ? String(init.request.name) : undefined;
  for (const [at, operation] of operationsIn(message).entries()) {
    const { protocol, method } = call;
    ledger.record({ protocol, method, asked, operation, facts: facts[at], startMs, endMs, call });
  }
}

function operationsIn(message: Message): Operation[] {
  if (isOperation(message)) return [message];
  return "operations" in message && Array.isArray(message.operations)
    ? message.operations.filter(isOperation)
    : [];
}

function isOperation(value: unknown): value is Operation {
  return (
    typeof value === "object" &&
    value !== null &&
    "$typeName" in value &&
    value.$typeName === OperationSchema.typeName
  );
}

/** Whether the description says that the server lacks a method. */
export function isDeclaredAbsent({ methods }: SubjectOptions, method: MethodName): boolean {
  return methods?.[method] === false;
}
