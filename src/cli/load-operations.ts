import { create, type DescMessage, type MessageShape, type Registry } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { truncateForError } from "../internal/truncate-for-error.js";
import { createMessageJson, isJsonObject } from "../json/message-json.js";
import { missReportingRegistry } from "../json/miss-reporting-registry.js";
import {
  type ExactJson,
  type ExactJsonObject,
  exactJsonText,
  parseJson,
} from "../json/parse-json.js";
import { parseOperationName } from "../operation/name.js";
import {
  ListOperationsResponseSchema,
  type Operation,
  OperationSchema,
  StatusSchema,
} from "../protos.js";
import { codeFromNumber } from "../status/code.js";
import { notLoadable, unknownPayloadType } from "./errors.js";
import { readBoundedFile } from "./read-bounded-file.js";

/** Operations from a file. */
export interface LoadedOperations {
  /** In the order of the file, each name once. */
  readonly operations: readonly Operation[];
  /** Whether the file is one page of a longer list. */
  readonly isPage: boolean;
}

/**
 * Reads the operations of a google.longrunning.ListOperationsResponse in proto JSON, and checks
 * that a server can serve each of them unchanged. Its name must have the usual form, and it must
 * have a result if and only if it is done. An Any of an unknown type has the form `{"@type": "…",
 * "value": "BASE64"}`.
 *
 * @param registry The types that an Any may hold.
 * @throws CommanderError that names the file, the index and the wrong field.
 */
export async function loadOperations(path: string, registry: Registry): Promise<LoadedOperations> {
  const bytes = await readBoundedFile(path);
  const json = parseJson(bytes, (problem) => notLoadable(path, "", problem));
  if (!isJsonObject(json)) throw notLoadable(path, "", "is no JSON object");
  assertFields(path, "", json, ListOperationsResponseSchema);
  const { operations: items = [], nextPageToken } = json;
  if (!Array.isArray(items)) throw notLoadable(path, "operations", "must be a list");
  const read = createReader(path, registry);
  const operations = items.map((item, index) =>
    operationFrom(path, `operations[${index}]`, item, read),
  );
  const indexByName = new Map<string, number>();
  for (const [index, { name }] of operations.entries()) {
    const earlier = indexByName.get(name);
    if (earlier !== undefined) {
      const why = `"${truncateForError(name)}" is the name of operations[${earlier}] already`;
      throw notLoadable(path, `operations[${index}].name`, why);
    }
    indexByName.set(name, index);
  }
  return { operations, isPage: nextPageToken !== undefined && nextPageToken !== "" };
}

/** Reads one message of a file; `where` is its place in the file. */
type Reader = <Desc extends DescMessage>(
  desc: Desc,
  where: string,
  json: ExactJson,
) => MessageShape<Desc>;

function createReader(path: string, registry: Registry): Reader {
  let missed: string | undefined;
  const { read } = createMessageJson({
    registry: missReportingRegistry(registry, (typeName) => {
      missed = typeName;
    }),
    unknownAny: "refuse",
  });
  return (desc, where, json) => {
    missed = undefined;
    try {
      return read(desc, json);
    } catch (cause) {
      if (missed !== undefined) throw unknownPayloadType(path, where, missed);
      const why = cause instanceof Error ? cause.message : "unknown reason";
      throw notLoadable(path, where, `is no ${desc.typeName}: ${truncateForError(why)}`);
    }
  };
}

function operationFrom(path: string, where: string, json: ExactJson, read: Reader): Operation {
  const fault = (field: string, why: string) => notLoadable(path, `${where}${field}`, why);
  if (!isJsonObject(json)) throw fault("", "must be an object");
  assertFields(path, where, json, OperationSchema);
  const { name, done = false, metadata, response, error } = json;
  if (typeof name !== "string" || parseOperationName(name) === undefined) {
    const given =
      typeof name === "string" ? `"${truncateForError(name)}"` : exactJsonText(name ?? null);
    throw fault(
      ".name",
      `must have the form "{parent/}operations/{id}", not ${truncateForError(given)}`,
    );
  }
  if (typeof done !== "boolean") throw fault(".done", "must be true or false");
  if (isGiven(response) && isGiven(error)) {
    throw fault(".error", "and response exclude each other");
  }
  const result = isGiven(response)
    ? { case: "response" as const, value: anyFrom(`${where}.response`, response, read) }
    : isGiven(error)
      ? { case: "error" as const, value: statusFrom(path, `${where}.error`, error, read) }
      : { case: undefined };
  if (done && result.case === undefined) {
    throw fault(
      ".done",
      'is true, so there must be a response (as {"@type": "type.googleapis.com/google.protobuf.Empty"}) or an error',
    );
  }
  if (!done && result.case !== undefined) {
    throw fault(`.${result.case}`, "must not be there while done is not true");
  }
  return create(OperationSchema, {
    name,
    done,
    metadata: isGiven(metadata) ? anyFrom(`${where}.metadata`, metadata, read) : undefined,
    result,
  });
}

function anyFrom(where: string, json: ExactJson, read: Reader): Any {
  return read(AnySchema, where, json);
}

function statusFrom(path: string, where: string, json: ExactJson, read: Reader) {
  if (!isJsonObject(json)) throw notLoadable(path, where, "must be an object");
  assertFields(path, where, json, StatusSchema);
  const { details = [], ...rest } = json;
  if (!Array.isArray(details)) throw notLoadable(path, `${where}.details`, "must be a list");
  const status = read(StatusSchema, where, rest);
  if (codeFromNumber(status.code) === undefined) {
    const why = `must be the number of an error in google.rpc.Code, from 1 to 16, not ${status.code}`;
    throw notLoadable(path, `${where}.code`, why);
  }
  status.details = details.map((detail, at) => anyFrom(`${where}.details[${at}]`, detail, read));
  return status;
}

/** Rejects unknown fields: ignoring a misspelt field would lose its value. */
function assertFields(path: string, where: string, json: ExactJsonObject, desc: DescMessage): void {
  for (const name of Object.keys(json)) {
    if (desc.fields.some((field) => field.jsonName === name || field.name === name)) continue;
    const place = where === "" ? truncateForError(name) : `${where}.${truncateForError(name)}`;
    throw notLoadable(path, place, `is no field of ${desc.typeName}`);
  }
}

/** `null` is a field that is not set (proto3 JSON). */
function isGiven(json: ExactJson | undefined): json is ExactJson {
  return json !== undefined && json !== null;
}
