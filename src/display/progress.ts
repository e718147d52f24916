import { type DescField, type JsonObject, ScalarType } from "@bufbuild/protobuf";
import { isReflectMessage, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { isJsonObject } from "../json/message-json.js";

/** The progress of the work, as read from the metadata of an operation. */
export interface Progress {
  /** The finished share, from 0 to 1; undefined if the metadata has no such number. */
  readonly fraction: number | undefined;
  /** `3 of 8`; undefined if the metadata has a percentage alone, or nothing. */
  readonly counted: string | undefined;
  /** The current step, in the server's words. Undefined if the metadata contains no status. */
  readonly status: string | undefined;
}

/** `progress_percent`, `percent_complete`, `percentage`, `completion_percentage`, … */
const percentName =
  /^(?:(?:progress|completion|completed?|done)_)?percent(?:age)?(?:_(?:progress|completed?|done))?$/;

/** The total of a pair: `total`, `total_pages`, `pages_total`, `estimated_work`, `work_estimated`. */
const totalName = /^(?:total|estimated)(?:_(?<after>\w+))?$|^(?<before>\w+)_(?:total|estimated)$/;

/** The finished part of a pair: a past participle, such as `done`, `completed`, `printed`. */
const doneWord = "(?:done|complete|current|sent|written|read|\\w*ed)";

/** Fields with the state of the work, the most telling first. */
const statusNames = [
  "status_message",
  "progress_message",
  "status_detail",
  "status",
  "state",
  "stage",
  "phase",
  "step",
];

/**
 * Reads progress from metadata of any type, by the names and the types of its fields:
 *
 * - a singular number called `percent`, `percentage`, `progress_percent`, `percent_complete` or
 *   alike is a percentage;
 * - `total_N` or `N_total` (also `estimated`) with `W_N` or `N_W`, where N is the same and W is
 *   `done` or a past participle, are a total and its finished part if the total is above 0:
 *   `files_total` with `files_done`, `total_pages` with `printed_pages`;
 * - a string or an enum called `status_message`, `status`, `state`, `stage`, `phase` or alike is
 *   the current step.
 *
 * The fields of the message come first, then those of singular messages in it whose name
 * begins with `progress` or ends in it. Proto3 JSON is read like a message of its members.
 */
export function progressOf(metadata: ReflectMessage | JsonObject): Progress {
  const all = isReflectMessage(metadata) ? fieldsOf(metadata) : membersOf(metadata);
  const nested = all.flatMap(({ name, fields }) =>
    fields !== undefined && /^progress(?:_|$)|_progress$/.test(name) ? [fields()] : [],
  );
  const places = [all, ...nested];
  const counted = firstOf(places, countedIn);
  return {
    fraction: firstOf(places, percentIn) ?? counted?.fraction,
    counted: counted?.text,
    status: firstOf(places, statusIn),
  };
}

/** A field of metadata, of a message or of JSON. */
interface Field {
  /** In snake_case. */
  readonly name: string;
  /** The value of a singular number that is set, or has no presence. */
  readonly number?: number | undefined;
  /** The value of a string, or the name of an enum's value. */
  readonly text?: string | undefined;
  /** The fields of a singular message. */
  readonly fields?: (() => readonly Field[]) | undefined;
}

function fieldsOf(message: ReflectMessage): readonly Field[] {
  return message.fields.map((field) => ({
    name: field.name,
    number: numberIn(message, field),
    text: textIn(message, field),
    fields:
      field.fieldKind === "message" && message.isSet(field)
        ? () => fieldsOf(message.get(field))
        : undefined,
  }));
}

/** Reads the members of proto3 JSON, whose type is unknown here. */
function membersOf(json: JsonObject): readonly Field[] {
  return Object.entries(json).map(([name, value]) => {
    // 64-bit integers are strings in JSON.
    const isNumber = typeof value === "number" || /^-?\d+$/.test(String(value));
    return {
      name: name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      number: isNumber ? Number(value) : undefined,
      text: typeof value === "string" ? value : undefined,
      fields: isJsonObject(value) ? () => membersOf(value) : undefined,
    };
  });
}

function firstOf<T>(
  places: readonly (readonly Field[])[],
  read: (place: readonly Field[]) => T | undefined,
): T | undefined {
  for (const place of places) {
    const found = read(place);
    if (found !== undefined) return found;
  }
  return undefined;
}

function percentIn(place: readonly Field[]): number | undefined {
  for (const { name, number } of place) {
    if (number !== undefined && percentName.test(name)) return clamped(number / 100);
  }
  return undefined;
}

function countedIn(place: readonly Field[]): { fraction: number; text: string } | undefined {
  for (const totalField of place) {
    const name = totalName.exec(totalField.name);
    const total = totalField.number;
    if (name === null || total === undefined || total <= 0) continue;
    const noun = name.groups?.after ?? name.groups?.before;
    const doneName =
      noun === undefined
        ? new RegExp(`^${doneWord}$`)
        : new RegExp(`^(?:${doneWord}_${noun}|${noun}_${doneWord})$`);
    for (const field of place) {
      const done = field === totalField || !doneName.test(field.name) ? undefined : field.number;
      if (done === undefined) continue;
      return { fraction: clamped(done / total), text: `${done} of ${total}` };
    }
  }
  return undefined;
}

function statusIn(place: readonly Field[]): string | undefined {
  for (const name of statusNames) {
    const text = place.find((one) => one.name === name)?.text;
    if (text !== undefined) return text;
  }
  return undefined;
}

function textIn(place: ReflectMessage, field: DescField): string | undefined {
  if (!place.isSet(field)) return undefined;
  if (field.fieldKind === "scalar" && field.scalar === ScalarType.STRING) {
    return String(place.get(field));
  }
  if (field.fieldKind !== "enum") return undefined;
  const value = place.get(field);
  return field.enum.value[value]?.name ?? String(value);
}

/** A singular number; undefined for other fields, and for one that has presence and is not set. */
function numberIn(place: ReflectMessage, field: DescField): number | undefined {
  if (field.fieldKind !== "scalar" || notNumbers.has(field.scalar)) return undefined;
  // Without presence, reflection reports a field of value 0 as not set, but 0 is a valid number.
  if (field.presence === FeatureSet_FieldPresence.EXPLICIT && !place.isSet(field)) return undefined;
  const value = Number(place.get(field));
  return Number.isFinite(value) ? value : undefined;
}

const notNumbers: ReadonlySet<ScalarType> = new Set([
  ScalarType.STRING,
  ScalarType.BYTES,
  ScalarType.BOOL,
]);

function clamped(fraction: number): number {
  return Math.min(1, Math.max(0, fraction));
}
