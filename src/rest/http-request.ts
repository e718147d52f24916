import type { DescMessage, JsonObject, JsonValue, Message } from "@bufbuild/protobuf";
import { isMessage } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { isJsonObject, type MessageJson } from "../json/message-json.js";
import { jsonTextOf } from "../json/proto-json.js";
import { HttpBodySchema, Operations } from "../protos.js";
import { noMatchingPath, unsendableField } from "./errors.js";
import { isLeaf } from "./field-path.js";
import { type BoundVariable, type HttpBinding, selectorOf } from "./http-rules.js";
import type { TemplateSegment } from "./path-template.js";

/** The HTTP request of a call. */
export interface HttpRequest {
  readonly binding: HttpBinding;
  /** The path with the query, to be put behind the base URL. */
  readonly target: string;
  readonly body:
    | { readonly contentType: string; readonly content: string | Uint8Array }
    | undefined;
}

/**
 * Returns the HTTP request of a call, by the first of its bindings whose path the message fits.
 *
 * @throws ConnectError `Code.InvalidArgument` for a message that fits none, and for one with a
 * field that has no form in a query.
 */
export function httpRequestOf(
  bindings: readonly HttpBinding[],
  desc: DescMessage,
  message: Message,
  json: MessageJson,
): HttpRequest {
  let textOf: TextOf = JSON.stringify;
  const onNegativeZero = () => {
    textOf = jsonTextOf;
  };
  const written = json.write(desc, message, { onNegativeZero });
  const whole = isJsonObject(written) ? written : {};
  for (const candidate of candidatesOf(bindings, whole)) {
    for (const binding of bindings) {
      const path = pathOf(binding, candidate, desc);
      if (path !== undefined) return requestBy(binding, path, candidate, desc, message, textOf);
    }
  }
  const [first] = bindings;
  const name = first?.variables[0]?.fields.map((field) => field.name).join(".") ?? "";
  throw noMatchingPath(name, String(whole.name ?? ""), first?.template.text ?? "");
}

/**
 * A list's name is bound in several ways, and one way's name does not fit another's path: with
 * `/operations` at its end, without it, and empty.
 */
function candidatesOf(bindings: readonly HttpBinding[], whole: JsonObject): JsonObject[] {
  const isList = bindings.some(
    ({ method }) => selectorOf(method) === `${Operations.typeName}.ListOperations`,
  );
  if (!isList) return [whole];
  const name = typeof whole.name === "string" ? whole.name : "";
  const longer = name === "" ? "operations" : `${name}/operations`;
  const shorter = name.replace(/\/operations$/, "");
  return [whole, { ...whole, name: longer }, { ...whole, name: shorter }];
}

function requestBy(
  binding: HttpBinding,
  path: string,
  whole: JsonObject,
  desc: DescMessage,
  message: Message,
  textOf: TextOf,
): HttpRequest {
  const rest = withoutVariables(binding, whole);
  if (binding.body === "all") {
    return { binding, target: path, body: rawBody(message) ?? jsonBody(rest, textOf) };
  }
  const { body: field } = binding;
  if (field === "none") return { binding, target: path + queryOf(desc, rest), body: undefined };
  const { [field.jsonName]: inBody, ...others } = rest;
  const raw =
    field.fieldKind === "message" ? rawBody(reflect(desc, message).get(field).message) : undefined;
  return {
    binding,
    target: path + queryOf(desc, others),
    body: raw ?? (inBody === undefined ? undefined : jsonBody(inBody, textOf)),
  };
}

type TextOf = (json: JsonValue) => string;

function jsonBody(json: JsonValue, textOf: TextOf) {
  return { contentType: "application/json", content: textOf(json) };
}

function rawBody(message: Message) {
  if (!isMessage(message, HttpBodySchema)) return undefined;
  return { contentType: message.contentType, content: message.data };
}

/** Returns the path of a binding, filled in; undefined if a value does not fit its place. */
function pathOf(
  { template, variables }: HttpBinding,
  whole: JsonObject,
  desc: DescMessage,
): string | undefined {
  const parts: string[] = [];
  const { segments } = template;
  for (let at = 0; at < segments.length; ) {
    const variable = variables.find(({ start }) => start === at);
    const end = variable === undefined ? at + 1 : (variable.end ?? segments.length);
    const part =
      variable === undefined
        ? literalOf(segments[at])
        : valueIn(variable, segments.slice(at, end), whole, desc);
    if (part === undefined) return undefined;
    parts.push(part);
    at = end;
  }
  return `/${parts.join("/")}${template.verb === undefined ? "" : `:${template.verb}`}`;
}

/** A wildcard that belongs to no variable takes anything. */
function literalOf(segment: TemplateSegment | undefined): string {
  return segment?.kind === "literal" ? segment.text : "-";
}

function valueIn(
  { fields, isSingle }: BoundVariable,
  pattern: readonly TemplateSegment[],
  whole: JsonObject,
  desc: DescMessage,
): string | undefined {
  const field = fields.map(({ name }) => name).join(".");
  const value = textAt(whole, fields, desc);
  const parts = isSingle ? [value] : value.split("/");
  if (!fits(pattern, parts)) return undefined;
  // A URL cannot contain such segments, because its parsers resolve them.
  if (parts.some((part) => part === "." || part === "..")) throw unsendableField(field, "a path");
  try {
    return parts.map(encodeURIComponent).join("/");
  } catch {
    throw unsendableField(field, "UTF-8");
  }
}

function fits(pattern: readonly TemplateSegment[], parts: readonly string[]): boolean {
  if (parts.includes("")) return false;
  const isOpen = pattern.at(-1)?.kind === "rest";
  const fixed = isOpen ? pattern.slice(0, -1) : pattern;
  if (isOpen ? parts.length < fixed.length : parts.length !== fixed.length) return false;
  return fixed.every((segment, at) => segment.kind !== "literal" || segment.text === parts[at]);
}

/** The value at a path, as text. One that JSON leaves out is its type's zero. */
function textAt(whole: JsonObject, fields: BoundVariable["fields"], desc: DescMessage): string {
  let value: JsonValue | undefined = whole;
  for (const { jsonName } of fields) value = isJsonObject(value) ? value[jsonName] : undefined;
  if (value !== undefined && value !== null) return wordOf(value);
  const [only] = fields;
  if (only === undefined || fields.length > 1 || only.fieldKind !== "scalar") return "";
  return String(reflect(desc).get(only));
}

/** The text of a value that is one word. */
function wordOf(value: JsonValue): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

function withoutVariables({ variables }: HttpBinding, whole: JsonObject): JsonObject {
  return variables.reduce(
    (json, { fields }) =>
      without(
        json,
        fields.map(({ jsonName }) => jsonName),
      ),
    whole,
  );
}

function without(json: JsonObject, [name = "", ...deeper]: readonly string[]): JsonObject {
  const { [name]: inner, ...others } = json;
  if (deeper.length === 0 || !isJsonObject(inner)) return others;
  return { ...others, [name]: without(inner, deeper) };
}

function queryOf(desc: DescMessage, json: JsonObject): string {
  const query = new URLSearchParams(parametersOf(desc, json, "")).toString();
  return query === "" ? "" : `?${query}`;
}

function parametersOf(desc: DescMessage, json: JsonObject, before: string): [string, string][] {
  return Object.entries(json).flatMap(([jsonName, value]): [string, string][] => {
    const field = desc.fields.find((one) => one.jsonName === jsonName);
    const name = before + jsonName;
    if (field !== undefined && isLeaf(field)) {
      const values = Array.isArray(value) ? value : [value];
      return values.map((one) => [name, wordOf(one)]);
    }
    if (field?.fieldKind === "message" && isJsonObject(value) && field.message !== undefined) {
      if (field.message.typeName.startsWith("google.protobuf.")) {
        throw unsendableField(name, "a query");
      }
      return parametersOf(field.message, value, `${name}.`);
    }
    throw unsendableField(name, "a query");
  });
}
