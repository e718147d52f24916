import type { DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { isAny } from "../json/fields-with-any.js";
import { hasOwnJson, isJsonObject } from "../json/message-json.js";
import { maxJsonDepth } from "../json/parse-json.js";
import { invalidParameter } from "./errors.js";

/**
 * The members of a response that a request selects (partial response): names, each with the names
 * below it. An empty selection selects everything. `*` is every name.
 */
export interface FieldSelection {
  readonly members: ReadonlyMap<string, FieldSelection>;
}

/** Longest text of a selection. */
const maxLength = 4096;

/**
 * Parses `a,b(c,d/e),f.g`: names, each followed by the names below it, after a slash or a dot or in
 * parentheses.
 *
 * @throws ConnectError 400, naming the parameter, for anything else, and for more than 4096
 * characters.
 */
export function parseFieldMask(parameter: string, text: string): FieldSelection {
  const fault = (expected: string) => invalidParameter(parameter, text, expected);
  if (text.length > maxLength) throw fault(`must have ${maxLength} characters at most`);
  const tokens = text.match(/[^\s,()/.]+|[,()/.]/g) ?? [];
  let at = 0;
  const parseList = (into: Members, depth: number) => {
    do {
      if (depth > maxJsonDepth) throw fault(`must not nest deeper than ${maxJsonDepth} levels`);
      parseItem(into, depth);
    } while (tokens[at] === "," && ++at);
  };
  const parseItem = (into: Members, depth: number) => {
    const name = tokens[at];
    if (name === undefined || /^[,()/.]$/.test(name)) throw fault("must be names and commas");
    at += 1;
    const below = membersOf(into, name);
    switch (tokens[at]) {
      case "/":
      case ".":
        at += 1;
        if (depth > maxJsonDepth) throw fault(`must not nest deeper than ${maxJsonDepth} levels`);
        parseItem(below, depth + 1);
        break;
      case "(":
        at += 1;
        parseList(below, depth + 1);
        if (tokens[at] !== ")") throw fault("must close its parentheses");
        at += 1;
        break;
      default:
        wholly.add(below);
    }
  };
  const wholly = new Set<Members>();
  const root: Members = new Map();
  parseList(root, 0);
  if (at < tokens.length) throw fault("must be names and commas");
  return selectionOf(root, wholly);
}

type Members = Map<string, Members>;

type Writable = Map<string, FieldSelection>;

function membersOf(parent: Members, name: string): Members {
  const members: Members = parent.get(name) ?? new Map();
  parent.set(name, members);
  return members;
}

/** A name that is selected as a whole needs no name below it. */
function selectionOf(members: Members, wholly: ReadonlySet<Members>): FieldSelection {
  const selected: Writable = new Map();
  if (!wholly.has(members)) {
    for (const [name, below] of members) selected.set(name, selectionOf(below, wholly));
  }
  return { members: selected };
}

/**
 * Checks that a selection names existing fields, as far as the descriptors reach: below an
 * Any, a Struct and the keys of a map every name may be.
 *
 * @throws ConnectError 400 that names the first one that is not a field.
 */
export function assertSelectable(
  parameter: string,
  desc: DescMessage,
  { members }: FieldSelection,
): void {
  if (hasOwnJson(desc)) return;
  for (const [name, below] of members) {
    if (name === "*") continue;
    const field = desc.fields.find((one) => one.jsonName === name || one.name === name);
    if (field === undefined) throw invalidParameter(parameter, name, "must name fields");
    if (field.message !== undefined && field.fieldKind !== "map") {
      assertSelectable(parameter, field.message, below);
    }
  }
}

/**
 * Returns the part of an answer that a selection asks for; of a list, of each of its items. Names
 * are those of the .proto or of JSON, as far as the descriptors reach, which is into each Any of a
 * known type.
 *
 * @param desc The type whose JSON this is; undefined for JSON without one, such as a Struct's.
 * @param typeOf Returns the type that the JSON of an Any names.
 */
export function selectFields(
  json: JsonValue,
  selection: FieldSelection,
  desc: DescMessage | undefined,
  typeOf: (any: JsonObject) => DescMessage | undefined,
): JsonValue {
  if (selection.members.size === 0) return json;
  if (Array.isArray(json)) {
    return json.map((item) => selectFields(item, selection, desc, typeOf));
  }
  if (!isJsonObject(json)) return json;
  if (desc !== undefined && isAny(desc)) {
    const held = typeOf(json);
    return selectMembers(json, selection, held && !hasOwnJson(held) ? held : undefined, typeOf);
  }
  return selectMembers(json, selection, desc, typeOf);
}

function selectMembers(
  json: JsonObject,
  { members }: FieldSelection,
  desc: DescMessage | undefined,
  typeOf: (any: JsonObject) => DescMessage | undefined,
): JsonObject {
  return Object.fromEntries(
    Object.entries(json).flatMap(([name, value]): [string, JsonValue][] => {
      const field = desc?.fields.find(({ jsonName }) => jsonName === name);
      const below =
        members.get(name) ?? members.get(field?.name ?? snakeCase(name)) ?? members.get("*");
      if (below === undefined) return [];
      if (field?.fieldKind === "map" && isJsonObject(value)) {
        // The names below a map are its keys.
        return [[name, selectEntries(value, below, field.message, typeOf)]];
      }
      return [[name, selectFields(value, below, field?.message, typeOf)]];
    }),
  );
}

/** Returns the entries of a map that a selection asks for by their keys. */
export function selectEntries(
  json: JsonObject,
  { members }: FieldSelection,
  desc: DescMessage | undefined,
  typeOf: (any: JsonObject) => DescMessage | undefined,
): JsonObject {
  if (members.size === 0) return json;
  return Object.fromEntries(
    Object.entries(json).flatMap(([key, value]): [string, JsonValue][] => {
      const below = members.get(key) ?? members.get("*");
      return below === undefined ? [] : [[key, selectFields(value, below, desc, typeOf)]];
    }),
  );
}

/** Converts a name of JSON whose type is not known to the name that a .proto most likely has. */
function snakeCase(jsonName: string): string {
  return jsonName.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
