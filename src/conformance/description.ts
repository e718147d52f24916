import type { FileRegistry, JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Operation } from "../protos.js";
import type { Protocol } from "./wire/answer.js";
import type { RawExchange } from "./wire/raw-exchange.js";
import type { RestBindings } from "./wire/rest-caller.js";

/** Headers by name. */
export type HeaderFields = Readonly<Record<string, string>>;

/** The five methods of google.longrunning.Operations. */
export const methodNames = [
  "GetOperation",
  "ListOperations",
  "CancelOperation",
  "DeleteOperation",
  "WaitOperation",
] as const;
export type MethodName = (typeof methodNames)[number];

/** Limits of time, in milliseconds, each at least 1. */
export interface Budgets {
  /** Time for the answer of one call. Default: 3,000. */
  readonly answerMs: number;
  /** Time until a change is visible to later calls. Default: 5,000. */
  readonly settleMs: number;
  /** Time from CancelOperation to the operation's end. Default: 10,000. */
  readonly cancelMs: number;
  /** Time from an operation's end to the answer of a held WaitOperation. Default: 10,000. */
  readonly wakeMs: number;
  /** Tolerance of upper bounds, and the unit of the waits that the cases make. Default: 1,000. */
  readonly slackMs: number;
  /** Time for which a finished operation must be found. Default: 5,000. */
  readonly keepMs: number;
  /** Time after which WaitOperation must show an end that GetOperation showed. Default: 1,000. */
  readonly freshMs: number;
  /** Time for a restart, and for operations to end after it. Default: 30,000. */
  readonly restartMs: number;
  /** Time for one case. Default: 60,000. */
  readonly caseMs: number;
}

export const defaultBudgets: Budgets = {
  answerMs: 3000,
  settleMs: 5000,
  cancelMs: 10_000,
  wakeMs: 10_000,
  slackMs: 1000,
  keepMs: 5000,
  freshMs: 1000,
  restartMs: 30_000,
  caseMs: 60_000,
};

/** The values of one start, for a need's template. */
export interface StartPlan {
  /** Parent of the operation's name. */
  readonly parent: string;
  /** Time until the work ends, in milliseconds. */
  readonly ms: number;
  /** A new UUID. */
  readonly uuid: string;
  /** Request id (AIP-155). Undefined: none. */
  readonly requestId: string | undefined;
  readonly validateOnly: boolean;
  /** Whether an error has a detail of a type that no server knows. */
  readonly opaque: boolean;
}

/** Error that a failing operation is declared to end with. */
export interface ExpectedError {
  /** Code of google.rpc.Code, 1 to 16. */
  readonly code: number;
  /** Details in ProtoJSON of google.protobuf.Any. Undefined: not declared. */
  readonly details?: readonly JsonObject[] | undefined;
  /** Whether one detail is of a type that the server does not know. Default: false. */
  readonly opaque?: boolean | undefined;
}

/** Members that every way to start an operation may have. */
interface NeedCommon {
  /** Response that the operation succeeds with, in ProtoJSON of Any. Undefined: not judged. */
  readonly response?: JsonObject | undefined;
  /** Error that the operation fails with. */
  readonly error?: ExpectedError | undefined;
  /** Whether a start that fails makes the cases fail. Default: they are not exercised. */
  readonly required?: boolean | undefined;
  /** Protocol of the start. Default: the case's protocol, else the first one that can. */
  readonly via?: Protocol | undefined;
}

/** A start by one of the subject's own methods. */
export interface RpcNeed extends NeedCommon {
  /** `package.Service/Method`. */
  readonly rpc: string;
  /** Request in ProtoJSON, with `{{parent}}`, `{{ms}}`, `{{seconds}}`, `{{id}}`, `{{uuid}}`. */
  readonly request?: JsonObject | undefined;
}

/** A start by an HTTP request with a JSON body, on the subject's REST address. */
export interface HttpNeed extends NeedCommon {
  /** HTTP method and path, such as `POST /v1/{{parent}}/jobs`. */
  readonly http: string;
  readonly request?: JsonObject | undefined;
}

/** A start by the driver service (longrunning.conformance.v1.Driver). */
export interface DriverNeed extends NeedCommon {
  readonly driver: true;
}

/** Operations that exist already. */
export interface NamesNeed extends NeedCommon {
  /** Each is used by one case. */
  readonly names: readonly string[];
  /** Whether several cases may read one operation. Default: false. */
  readonly shared?: boolean | undefined;
}

/** A start by a function, for tests in the same process. */
export type StartFunction = (plan: StartPlan) => Promise<Operation | string>;

export type Need = RpcNeed | HttpNeed | DriverNeed | NamesNeed | StartFunction;

/** The kinds of operations that cases need, by the names that a subject file uses. */
export interface Needs {
  /** Ends with a response. */
  readonly succeeds?: Need | undefined;
  /** Ends with an error. */
  readonly fails?: Need | undefined;
  /** Runs until CancelOperation. */
  readonly runsUntilCancelled?: Need | undefined;
  /** Continues after CancelOperation. */
  readonly ignoresCancel?: Need | undefined;
  /** Replaces its metadata at least twice. */
  readonly reportsProgress?: Need | undefined;
  /** Ends after `{{ms}}` milliseconds. */
  readonly takes?: Need | undefined;
  /** The start itself fails. */
  readonly refused?: Need | undefined;
  /** A second start fails with ABORTED while the first operation runs. */
  readonly parallel?: Need | undefined;
  /** Path of the request's bool field (AIP-163). True: the driver's. */
  readonly validateOnly?: string | boolean | undefined;
  /** Path of the request's string field (AIP-155). True: the driver's. */
  readonly requestId?: string | boolean | undefined;
}

/** Promises of the subject beyond the protocol. */
export interface Claims {
  /** Operations survive a restart. */
  readonly durable?: boolean | undefined;
  /** Answer to `return_partial_success`: UNIMPLEMENTED, or OK for the wildcard parent. */
  readonly partialSuccess?: "refused" | "supported" | undefined;
  /** Parent with `-` segments (AIP-159), such as `printers/-`. */
  readonly wildcard?: string | undefined;
  /** Filters of ListOperations (AIP-160). */
  readonly filters?:
    | { readonly done: string; readonly open: string; readonly bad?: readonly string[] | undefined }
    | undefined;
  /** REST understands `$.xgafv`, which chooses the error format. */
  readonly xgafv?: boolean | undefined;
}

/** Callers that the subject distinguishes. */
export interface Identities {
  /** Headers of the caller that owns the operations. */
  readonly owner: HeaderFields;
  /** Headers of another caller. */
  readonly stranger: HeaderFields;
  /** Whether permission depends on the parent alone, so that a missing operation is denied too. */
  readonly scope?: "parent" | undefined;
  /** Whether calls without credentials are refused with UNAUTHENTICATED. */
  readonly anonymous?: "refused" | undefined;
  /** Answer to another caller's operation. Default: PERMISSION_DENIED. */
  readonly foreign?: "NOT_FOUND" | undefined;
}

/** State of the work behind an operation. */
export type WorkState = "running" | "ended" | "stopped";

/** REST address with its bindings. */
export interface RestAddress extends Partial<RestBindings> {
  readonly url: string;
}

/** A server under test, with everything that the cases may use. */
export interface SubjectOptions {
  /** Name for reports. */
  readonly subject: string;
  /** Base address of each protocol that the server speaks. */
  readonly protocols: Readonly<
    Partial<Record<Exclude<Protocol, "rest">, string>> & { rest?: string | RestAddress }
  >;
  /** Headers of every call. Default: none. */
  readonly headers?: HeaderFields | undefined;
  /** Types of the subject's payloads and requests. Default: by reflection over gRPC. */
  readonly descriptors?: FileRegistry | undefined;
  /** Whether the server has a method. Left out: the answer decides. */
  readonly methods?: Readonly<Partial<Record<MethodName, boolean>>> | undefined;
  /** Numbers of further AIPs that the server follows: 122, 160, 193. Default: none. */
  readonly follows?: readonly number[] | undefined;
  readonly claims?: Claims | undefined;
  /** Parents in operation names. Default: derived from the first name. */
  readonly parents?: readonly string[] | undefined;
  /** Name that the server never gave out. Default: a guess. */
  readonly unknownName?: string | undefined;
  readonly identities?: Identities | undefined;
  readonly needs?: Needs | undefined;
  /** Whether the server has the driver service, which then serves every need left out. */
  readonly driver?: boolean | undefined;
  readonly budgets?: Partial<Budgets> | undefined;
  /** Factor of all budgets, at least 0.01. Default: 1. */
  readonly slow?: number | undefined;
  /** Seed of everything random. Default: a random one. */
  readonly seed?: number | undefined;
  /** Returns the state of an operation's work. Default: by the driver. */
  readonly probe?: ((name: string) => Promise<WorkState | undefined>) | undefined;
  /** Restarts the subject and resolves when it answers. Default: no case restarts it. */
  readonly restart?: (() => Promise<void>) | undefined;
  /** Whether the subject's process has ended. Default: never. */
  readonly hasEnded?: (() => boolean) | undefined;
  /** Returns the last output of the subject's process, for failures. Default: none. */
  readonly output?: (() => string) | undefined;
  /** HTTP client of all protocols except gRPC. Default: the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** Options of `node:tls` for gRPC. Default: none. */
  readonly tls?: object | undefined;
  /** Replaces every connection, for servers in the same process. */
  readonly exchange?: RawExchange | undefined;
  /** Texts that no report may show, in addition to credentials in headers. */
  readonly secrets?: readonly string[] | undefined;
}

/** Returns the subject's budgets with defaults, multiplied by `slow`. */
export function budgetsOf({ budgets = {}, slow = 1 }: SubjectOptions): Budgets {
  const entries = Object.entries({ ...defaultBudgets, ...budgets });
  const scaled = Object.fromEntries(entries.map(([name, ms]) => [name, ms * slow]));
  return { ...defaultBudgets, ...scaled };
}

/**
 * Returns a value of JSON with each `{{name}}` in its texts replaced. A text that is one number
 * stays a text.
 */
export function fillTemplate(json: JsonValue, values: Readonly<Record<string, string>>): JsonValue {
  if (typeof json === "string") {
    return json.replace(/\{\{(\w+)\}\}/g, (whole, name: string) => values[name] ?? whole);
  }
  if (Array.isArray(json)) return json.map((item) => fillTemplate(item, values));
  if (typeof json === "object" && json !== null) {
    return Object.fromEntries(
      Object.entries(json).map(([key, value]) => [key, fillTemplate(value, values)]),
    );
  }
  return json;
}
