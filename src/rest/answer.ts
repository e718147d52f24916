import {
  create,
  type DescField,
  isMessage,
  type JsonValue,
  type Message,
  toJson,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import type { EncodedJson } from "../json/encoded-json.js";
import { isJsonObject, type MessageJson } from "../json/message-json.js";
import { jsonTextOf } from "../json/proto-json.js";
import { HttpBodySchema } from "../protos.js";
import { invalidParameter, unwritableAnswer } from "./errors.js";
import { assertSelectable, selectEntries, selectFields } from "./field-mask.js";
import type { HttpBinding } from "./http-rules.js";
import type { CallAnswer } from "./method-call.js";
import { isHttpBody } from "./request-message.js";
import type { Presentation } from "./system-parameters.js";

/** A body with its content type. */
export interface AnswerBody {
  readonly contentType: string;
  /** Text is UTF-8; Node sends it in one piece with the headers. */
  readonly content: string | Uint8Array<ArrayBuffer>;
}

/** The writers of JSON. */
export interface AnswerWriters {
  readonly json: MessageJson;
  /** Writes the whole of most messages without decoding them. */
  readonly encoded: EncodedJson;
}

const jsonType = "application/json; charset=UTF-8";

/** Whether a response is the whole message in JSON, as it is. */
function isWhole({ format, enumAsInteger, callback, fields }: Presentation): boolean {
  return format === "json" && !enumAsInteger && callback === undefined && fields === undefined;
}

/**
 * Checks, before the call is made, that its response can be presented as the request wants it.
 *
 * @throws ConnectError 400.
 */
export function assertPresentable({ method, responseBody }: HttpBinding, wanted: Presentation) {
  const { fields, format } = wanted;
  if (fields === undefined) return;
  if (format === "proto") throw invalidParameter(fields.parameter, format, "needs alt=json");
  if (responseBody === undefined) {
    assertSelectable(fields.parameter, method.output, fields.selection);
  } else if (responseBody.message !== undefined && responseBody.fieldKind !== "map") {
    assertSelectable(fields.parameter, responseBody.message, fields.selection);
  }
}

/**
 * Writes the response of a call: JSON as the request wants it, binary, or the bytes of an HttpBody.
 *
 * @throws ConnectError 500 for a message that JSON cannot hold.
 */
export function answerBodyOf(
  { method, responseBody }: HttpBinding,
  answer: CallAnswer,
  wanted: Presentation,
  { json, encoded }: AnswerWriters,
): AnswerBody {
  const desc = method.output;
  if (responseBody === undefined && isWhole(wanted) && !isHttpBody(desc)) {
    const content = encoded.write(desc, answer.bytes, wanted.pretty);
    if (content !== undefined) return { contentType: jsonType, content };
  }
  const message = answer.message();
  const raw = httpBodyOf(message) ?? httpBodyWithin(responseBody, message, desc);
  if (raw !== undefined) {
    return {
      contentType: raw.contentType || "application/octet-stream",
      content: new Uint8Array(raw.data),
    };
  }
  if (wanted.format === "proto") {
    return { contentType: "application/x-protobuf", content: new Uint8Array(answer.bytes) };
  }
  let hasNegativeZero = false;
  const options = {
    enumAsInteger: wanted.enumAsInteger,
    onNegativeZero: () => {
      hasNegativeZero = true;
    },
  };
  let written: JsonValue;
  try {
    written = json.write(desc, message, options);
    if (responseBody !== undefined) written = memberOf(written, responseBody);
  } catch (cause) {
    throw unwritableAnswer(desc.typeName, cause);
  }
  if (wanted.fields !== undefined) {
    const { selection } = wanted.fields;
    written =
      responseBody?.fieldKind === "map" && isJsonObject(written)
        ? selectEntries(written, selection, responseBody.message, json.typeOf)
        : selectFields(written, selection, responseBody?.message ?? desc, json.typeOf);
  }
  return jsonBody(written, wanted, hasNegativeZero);
}

/** The value of one field in the JSON of its message. A zero, which that leaves out, is written. */
function memberOf(json: JsonValue, field: DescField): JsonValue {
  const value = isJsonObject(json) ? json[field.jsonName] : undefined;
  if (value !== undefined) return value;
  // If the value is missing, zeros appear in the message's own fields only.
  const zeros = toJson(field.parent, create(field.parent), { alwaysEmitImplicit: true });
  return (isJsonObject(zeros) ? zeros[field.jsonName] : undefined) ?? null;
}

/**
 * Returns JSON in the requested form, escaped for use in a page or a script.
 *
 * @param hasNegativeZero Whether there is a negative zero, whose sign JSON.stringify drops.
 */
export function jsonBody(
  json: JsonValue,
  { pretty, callback }: Pick<Presentation, "pretty" | "callback">,
  hasNegativeZero = false,
): AnswerBody {
  const indent = pretty ? 2 : undefined;
  const written = hasNegativeZero ? jsonTextOf(json, indent) : JSON.stringify(json, null, indent);
  const whole = withoutSurrogates(written);
  const plain = pretty ? `${whole}\n` : whole;
  const text = plain.replace(/[<>&\u2028\u2029]/g, escaped);
  if (callback === undefined) {
    return { contentType: jsonType, content: text };
  }
  return {
    contentType: "text/javascript; charset=UTF-8",
    // The comment must come first: otherwise the file would begin with the name, and a caller could
    // choose a name that makes the file valid in another format.
    content: `// API callback\n${callback}(${text.trimEnd()});\n`,
  };
}

/** Replaces halves of surrogate pairs, which a handler may have set, as UTF-8 does. */
function withoutSurrogates(json: string): string {
  if (!json.includes("\\ud")) return json;
  // JSON.stringify escapes only lone surrogates in this form. The other alternative matches an
  // escaped backslash.
  return json.replace(/\\(?:\\|ud[89a-f][0-9a-f]{2})/g, (found) =>
    found === "\\\\" ? found : "\ufffd",
  );
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function httpBodyOf(message: Message) {
  return isMessage(message, HttpBodySchema) ? message : undefined;
}

function httpBodyWithin(
  field: HttpBinding["responseBody"],
  message: Message,
  desc: HttpBinding["method"]["output"],
) {
  if (field?.fieldKind !== "message") return undefined;
  return httpBodyOf(reflect(desc, message).get(field).message);
}
