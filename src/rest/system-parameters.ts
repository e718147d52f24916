import type { HandlerRequest } from "../web/handler.js";
import { invalidParameter } from "./errors.js";
import { type FieldSelection, parseFieldMask } from "./field-mask.js";
import type { QueryParameter } from "./url-parts.js";

/** How a response is written, according to the system parameters. */
export interface Presentation {
  /** The format of error bodies. */
  readonly errorFormat: 1 | 2;
  readonly format: "json" | "proto";
  readonly enumAsInteger: boolean;
  readonly pretty: boolean;
  /** The function that JSONP calls. */
  readonly callback: string | undefined;
  /** The selected part of the response, and the parameter or header that selects it. */
  readonly fields: { readonly selection: FieldSelection; readonly parameter: string } | undefined;
}

/** The presentation for a request without system parameters. */
export const plainPresentation: Presentation = {
  errorFormat: 2,
  format: "json",
  enumAsInteger: false,
  pretty: true,
  callback: undefined,
  fields: undefined,
};

/** A query, its system parameters taken out. */
export interface SplitQuery {
  /** The values by name without `$`; of a repeated parameter the last one. */
  readonly system: ReadonlyMap<string, string>;
  /** All others, which belong to fields of the request. */
  readonly others: readonly QueryParameter[];
}

/**
 * The header that tells interceptors of a system parameter, for those that are not about how the
 * answer looks.
 */
const headerByParameter: Readonly<Record<string, string>> = {
  key: "x-goog-api-key",
  access_token: "authorization",
  oauth_token: "authorization",
  quotaUser: "x-goog-quota-user",
  uploadType: "x-goog-upload-type",
  upload_protocol: "x-goog-upload-protocol",
};

const presentationParameters = ["alt", ".xgafv", "prettyPrint", "fields", "callback"];

const systemNames: ReadonlySet<string> = new Set([
  ...presentationParameters,
  ...Object.keys(headerByParameter),
]);

/**
 * The spellings of system parameters that are recognized: "all", with a `$` before the name or
 * without, or "prefixed", with a `$` only. The others are fields of the request.
 */
export type SystemParameterNames = "all" | "prefixed";

/**
 * Takes the system parameters of Google's APIs out of a query. They never set a field of the
 * request, even if the request has a field with that name.
 */
export function splitQuery(
  parameters: readonly QueryParameter[],
  recognized: SystemParameterNames,
): SplitQuery {
  const system = new Map<string, string>();
  const others: QueryParameter[] = [];
  for (const parameter of parameters) {
    const [name, value] = parameter;
    const isPrefixed = name.startsWith("$");
    const bare = isPrefixed ? name.slice(1) : name;
    // Every name except the error format's is also recognized without a dollar sign.
    const isRecognized = isPrefixed || (recognized === "all" && name !== ".xgafv");
    if (isRecognized && systemNames.has(bare)) system.set(bare, value);
    else others.push(parameter);
  }
  return { system, others };
}

/**
 * Returns the error format that `$.xgafv` selects. Default: 2.
 *
 * @throws ConnectError 400 for anything but 1 and 2.
 */
export function errorFormatOf({ system }: SplitQuery): 1 | 2 {
  const value = system.get(".xgafv");
  if (value === undefined || value === "2") return 2;
  if (value === "1") return 1;
  throw invalidParameter("$.xgafv", value, "must be 1 or 2");
}

/**
 * Returns how the response must be written.
 *
 * @throws ConnectError 400 for a value that a parameter does not have.
 */
export function presentationOf(
  { system }: SplitQuery,
  request: HandlerRequest,
  errorFormat: 1 | 2,
  hasJsonp: boolean,
): Presentation {
  return {
    errorFormat,
    ...alternativeOf(system.get("alt")),
    pretty: prettyOf(system.get("prettyPrint")),
    callback: callbackOf(system.get("callback"), request.method, hasJsonp),
    fields: fieldsOf(system.get("fields"), request.headerOf("x-goog-fieldmask")),
  };
}

/** A header by its name in lower case. */
export type HeaderLine = readonly [name: string, value: string];

/**
 * Returns headers for interceptors with the other system parameters. Headers that the request
 * already has are left out.
 *
 * @throws ConnectError 400 for a value that no header can have.
 */
export function systemHeadersOf({ system }: SplitQuery, request: HandlerRequest): HeaderLine[] {
  const headers = new Map<string, string>();
  for (const [name, value] of system) {
    const header = headerByParameter[name];
    if (header === undefined || headers.has(header) || request.headerOf(header) !== null) continue;
    if (!/^[\x20-\x7e]*$/.test(value)) throw invalidParameter(name, value, "must be ASCII");
    headers.set(header, header === "authorization" ? `Bearer ${value}` : value);
  }
  return [...headers];
}

function alternativeOf(value: string | undefined): Pick<Presentation, "format" | "enumAsInteger"> {
  switch (value) {
    case undefined:
    case "":
    case "json":
      return { format: "json", enumAsInteger: false };
    case "json;enum-encoding=int":
      return { format: "json", enumAsInteger: true };
    case "proto":
      return { format: "proto", enumAsInteger: false };
    default:
      throw invalidParameter("alt", value, "must be json, json;enum-encoding=int or proto");
  }
}

function prettyOf(value: string | undefined): boolean {
  switch (value) {
    case undefined:
    case "":
    case "true":
    case "1":
      return true;
    case "false":
    case "0":
      return false;
    default:
      throw invalidParameter("prettyPrint", value, "must be true or false");
  }
}

function callbackOf(value: string | undefined, method: string, isOn: boolean): string | undefined {
  if (value === undefined || value === "") return undefined;
  if (!isOn) throw invalidParameter("callback", value, "needs the server's option `jsonp`");
  if (method !== "GET" && method !== "HEAD")
    throw invalidParameter("callback", value, "is for GET");
  if (/^[A-Za-z0-9_$.[\]]{1,128}$/.test(value)) return value;
  throw invalidParameter("callback", value, "must be the name of a function");
}

function fieldsOf(parameter: string | undefined, header: string | null): Presentation["fields"] {
  const [name, text] =
    parameter === undefined ? ["X-Goog-FieldMask", header ?? ""] : ["fields", parameter];
  if (text === "") return undefined;
  return { selection: parseFieldMask(name, text), parameter: name };
}
