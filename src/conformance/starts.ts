import {
  create,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { AnySchema, durationFromMs, StructSchema } from "@bufbuild/protobuf/wkt";
import { isJsonObject } from "../json/message-json.js";
import { type Operation, OperationSchema, type Status, StatusSchema } from "../protos.js";
import { beginCall, causeText } from "./call-limit.js";
import {
  type DriverNeed,
  type ExpectedError,
  fillTemplate,
  type HttpNeed,
  type Need,
  type Needs,
  type RpcNeed,
  type StartPlan,
} from "./description.js";
import { Driver, StartRequestSchema } from "./driver.js";
import { NotExercised } from "./failure.js";
import type { Answer, Subject } from "./subject.js";
import type { Protocol } from "./wire/answer.js";
import { restStatusOf, restTargetOf, sendRest } from "./wire/rest-caller.js";
import { parseBody, type TolerantJson } from "./wire/tolerant-json.js";

/** Needs that start one operation. */
export type StartKind = Exclude<keyof Needs, "validateOnly" | "requestId">;

/** How one operation came to exist. */
export interface StartAnswer {
  /** The answer of a start by a call; undefined for prepared names and functions. */
  readonly answer: Answer | undefined;
  readonly operation: Operation | undefined;
  /** `package.Service/Method` of the start, for its declared types; undefined if unknown. */
  readonly method: string | undefined;
  readonly expectedResponse: JsonObject | undefined;
  readonly expectedError: ExpectedError | undefined;
  readonly isPrepared: boolean;
}

/** Connection of a start. */
export interface StartCall {
  readonly protocol: Protocol;
  readonly identity: Readonly<Record<string, string>> | undefined;
  readonly isolated: boolean;
  readonly sinceMs: number;
}

const driverMethod = `${Driver.typeName}/Start`;
const anyUrl = "type.googleapis.com/";

/** Time that a short piece of the driver's work takes, as a share of the slack. */
const shortShare = 20;

/** The text in every response of the driver. */
const driverText = "conformance";

/** The driver's error, with a detail of a known type. */
const driverError: ExpectedError = {
  code: 9,
  details: [
    {
      "@type": `${anyUrl}google.rpc.ErrorInfo`,
      reason: "OUT_OF_PAPER",
      domain: "conformance.example",
      metadata: { printer: "a" },
    },
  ],
};

/** Type and bytes of a detail that no server knows. */
export const opaqueDetail = {
  typeUrl: `${anyUrl}conformance.elsewhere.v1.Unknown`,
  value: Uint8Array.of(0x0a, 0x03, 0x61, 0x62, 0x63, 0x10, 0x2a),
};

/** Returns the need for a kind; the driver serves a kind that the description leaves out. */
export function needOf({ description }: Subject, kind: StartKind): Need | undefined {
  const { needs = {}, driver = false } = description;
  return needs[kind] ?? (driver ? { driver: true } : undefined);
}

/**
 * Starts one operation, or takes a prepared one.
 *
 * @throws NotExercised if the subject cannot start this kind.
 */
export async function startOnce(
  subject: Subject,
  kind: StartKind,
  plan: StartPlan,
  call: StartCall,
): Promise<StartAnswer> {
  const need = needOf(subject, kind);
  if (need === undefined) {
    throw new NotExercised(`the subject has no need "${kind}"; declare it in the subject file`);
  }
  if (typeof need === "function") {
    const started = await need(plan);
    const operation =
      typeof started === "string" ? create(OperationSchema, { name: started }) : started;
    return { ...prepared(undefined, undefined), operation };
  }
  if ("names" in need) {
    const name = need.names.find((one) => need.shared === true || !subject.consumed.has(one));
    if (name === undefined) {
      throw new NotExercised(`the names of the need "${kind}" are used up; give more`);
    }
    subject.consumed.add(name);
    const operation = create(OperationSchema, { name });
    return { ...prepared(need.response, need.error), operation };
  }
  if ("driver" in need) return startByDriver(subject, need, kind, plan, call);
  if ("http" in need) return startByHttp(subject, need, plan, call);
  return startByRpc(subject, need, plan, call);
}

function prepared(response: JsonObject | undefined, error: ExpectedError | undefined) {
  return {
    answer: undefined,
    method: undefined,
    expectedResponse: response,
    expectedError: error,
    isPrepared: true,
  };
}

async function startByDriver(
  subject: Subject,
  need: DriverNeed,
  kind: StartKind,
  plan: StartPlan,
  call: StartCall,
): Promise<StartAnswer> {
  const isShort = kind === "succeeds" || kind === "fails";
  const shortMs = subject.budgets.slackMs / shortShare;
  const runsMs = isShort ? shortMs : kind === "runsUntilCancelled" ? undefined : plan.ms;
  const end: MessageInitShape<typeof StartRequestSchema>["end"] =
    kind === "fails"
      ? { case: "error", value: driverStatus(subject, plan.opaque) }
      : kind === "refused"
        ? { case: "refuse", value: true }
        : { case: "result", value: { text: driverText } };
  const request: MessageInitShape<typeof StartRequestSchema> = {
    parent: plan.parent,
    requestId: plan.requestId ?? "",
    validateOnly: plan.validateOnly,
    ...(runsMs !== undefined && { runsFor: durationFromMs(Math.round(runsMs)) }),
    end: kind === "runsUntilCancelled" ? { case: undefined } : end,
    ignoreCancel: kind === "ignoresCancel",
    reports: kind === "reportsProgress" ? 3 : 0,
    exclusiveKey: kind === "parallel" ? `${plan.parent}/exclusive` : "",
  };
  const answer = await subject.call({
    ...call,
    protocol: rpcProtocol(subject, need.via ?? call.protocol),
    service: Driver.typeName,
    method: "Start",
    input: StartRequestSchema,
    output: OperationSchema,
    request,
  });
  if (answer === undefined) throw new NotExercised("no protocol can reach the driver");
  return {
    answer,
    operation: answer.message,
    method: driverMethod,
    expectedResponse:
      need.response ??
      (kind === "fails"
        ? undefined
        : { "@type": `${anyUrl}longrunning.conformance.v1.Result`, text: driverText }),
    expectedError: need.error ?? (kind === "fails" ? driverError : undefined),
    isPrepared: false,
  };
}

function driverStatus({ json }: Subject, isOpaque: boolean): Status {
  const status = json.read(StatusSchema, {
    code: driverError.code,
    message: "the printer is out of paper",
    details: [...(driverError.details ?? [])],
  });
  // ProtoJSON cannot encode this detail, so only the case about it sends the detail.
  if (isOpaque) status.details.push(create(AnySchema, opaqueDetail));
  return status;
}

/** The driver and other RPC methods have no REST binding. */
function rpcProtocol(subject: Subject, wanted: Protocol): Protocol {
  if (wanted !== "rest") return wanted;
  const found = subject.protocols.find((protocol) => protocol !== "rest");
  if (found === undefined) {
    throw new NotExercised(
      'a start by RPC needs a protocol other than REST; use "http" in the need, or add a protocol',
    );
  }
  return found;
}

async function startByRpc(
  subject: Subject,
  need: RpcNeed,
  plan: StartPlan,
  call: StartCall,
): Promise<StartAnswer> {
  const [service = "", method = ""] = need.rpc.split("/");
  const request = requestOf(subject, need, plan);
  const found = await subject.methodOf(need.rpc);
  let answer: Answer | undefined;
  let operation: Operation | undefined;
  if (found === undefined) {
    // Without descriptors, the request is sent as the given JSON.
    const protocol = "connect-json";
    const sent = await subject.call({
      ...call,
      protocol,
      service,
      method,
      input: StructSchema,
      output: OperationSchema,
      request: fromJson(StructSchema, request),
    });
    if (sent === undefined) {
      throw new NotExercised(
        `the types of ${need.rpc} are not known: give "descriptors", serve reflection over gRPC, or add the protocol connect-json`,
      );
    }
    answer = sent;
    operation = sent.message;
  } else {
    const sent = await subject.call({
      ...call,
      protocol: rpcProtocol(subject, need.via ?? call.protocol),
      service,
      method,
      input: found.input,
      output: OperationSchema,
      request: strictRequest(subject, need, found.input, request),
    });
    if (sent === undefined) throw new NotExercised(`the protocol ${need.via} is not declared`);
    answer = sent;
    operation = sent.message;
  }
  return {
    answer,
    operation,
    method: need.rpc,
    expectedResponse: need.response,
    expectedError: need.error,
    isPrepared: false,
  };
}

function strictRequest(
  { json }: Subject,
  need: RpcNeed,
  input: DescMessage,
  request: JsonObject,
): Message {
  try {
    return json.readStrictly(input, request);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : "unknown reason";
    throw new NotExercised(`the request of ${need.rpc} is not a ${input.typeName}: ${why}`);
  }
}

async function startByHttp(
  subject: Subject,
  need: HttpNeed,
  plan: StartPlan,
  call: StartCall,
): Promise<StartAnswer> {
  const { rest, json, budgets, description } = subject;
  if (rest === undefined) throw new NotExercised("a start by HTTP needs the protocol rest");
  const binding = String(fillTemplate(need.http, templateValues(plan)));
  const { httpMethod, path } = restTargetOf(binding, {});
  const limit = beginCall(subject.loopDelay, budgets.answerMs, budgets.slackMs);
  const { response } = await sendRest(
    rest.url,
    { httpMethod, path, body: requestOf(subject, need, plan) },
    rest.exchange,
    {
      headers: Object.entries({
        ...description.headers,
        ...(call.identity ?? description.identities?.owner),
      }),
      deadlineMs: undefined,
      signal: limit.signal,
      isolated: call.isolated,
    },
  )
    .catch((error: unknown) => {
      const why = limit.signal.aborted ? "it took too long" : causeText(error);
      throw new NotExercised(`the start ${binding} had no answer: ${why}`);
    })
    .finally(() => limit.end());
  const status = restStatusOf(response, json);
  if (status !== undefined) {
    throw new NotExercised(`the start ${binding} answered ${status.raw} ${status.message}`);
  }
  return {
    ...prepared(need.response, need.error),
    operation: operationIn(response.body, json, binding),
    isPrepared: false,
  };
}

/** The operation in the JSON of a start. Ends the case if the body has no operation. */
function operationIn(body: Uint8Array, json: TolerantJson, binding: string): Operation {
  const received = parseBody(body);
  try {
    if (received !== undefined) return json.read(OperationSchema, received);
  } catch {
    // The error below reports the body.
  }
  throw new NotExercised(`the start ${binding} answered with a body that is not an Operation`);
}

function requestOf(
  { description: { needs = {} } }: Subject,
  need: RpcNeed | HttpNeed,
  plan: StartPlan,
): JsonObject {
  const filled = fillTemplate(need.request ?? {}, templateValues(plan));
  let request = isJsonObject(filled) ? filled : {};
  if (typeof needs.requestId === "string" && plan.requestId !== undefined) {
    request = withField(request, needs.requestId.split("."), plan.requestId);
  }
  if (typeof needs.validateOnly === "string" && plan.validateOnly) {
    request = withField(request, needs.validateOnly.split("."), true);
  }
  return request;
}

function templateValues({ parent, ms, uuid }: StartPlan): Record<string, string> {
  return {
    parent,
    ms: String(Math.round(ms)),
    seconds: String(ms / 1000),
    uuid,
    id: `c${uuid.replaceAll("-", "").slice(0, 15)}`,
  };
}

function withField(
  json: JsonObject,
  [name = "", ...deeper]: readonly string[],
  value: JsonValue,
): JsonObject {
  if (deeper.length === 0) return { ...json, [name]: value };
  const inner = json[name];
  return { ...json, [name]: withField(isJsonObject(inner) ? inner : {}, deeper, value) };
}
