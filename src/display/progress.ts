import { type DescField, ScalarType } from "@bufbuild/protobuf";
import type { ReflectMessage } from "@bufbuild/protobuf/reflect";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";

/** The progress of the work, as read from the metadata of an operation. */
export interface Progress {
  /** The finished share, from 0 to 1; undefined if the metadata has no such number. */
  readonly fraction: number | undefined;
  /** `3 of 8`; undefined if the metadata has a percentage alone, or nothing. */
  readonly counted: string | undefined;
  /** The current step in the server's words; undefined if the metadata has none. */
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
 * begins with `progress` or ends in it.
 */
export function progressOf(metadata: ReflectMessage): Progress {
  const places = [metadata, ...nestedProgress(metadata)];
  const counted = firstOf(places, countedIn);
  return {
    fraction: firstOf(places, percentIn) ?? counted?.fraction,
    counted: counted?.text,
    status: firstOf(places, statusIn),
  };
}

function firstOf<T>(
  places: readonly ReflectMessage[],
  read: (place: ReflectMessage) => T | undefined,
): T | undefined {
  for (const place of places) {
    const found = read(place);
    if (found !== undefined) return found;
  }
  return undefined;
}

function nestedProgress(metadata: ReflectMessage): ReflectMessage[] {
  return metadata.fields.flatMap((field) =>
    field.fieldKind === "message" &&
    /^progress(?:_|$)|_progress$/.test(field.name) &&
    metadata.isSet(field)
      ? [metadata.get(field)]
      : [],
  );
}

function percentIn(place: ReflectMessage): number | undefined {
  for (const field of place.fields) {
    const percent = percentName.test(field.name) ? numberIn(place, field) : undefined;
    if (percent !== undefined) return clamped(percent / 100);
  }
  return undefined;
}

function countedIn(place: ReflectMessage): { fraction: number; text: string } | undefined {
  for (const totalField of place.fields) {
    const name = totalName.exec(totalField.name);
    const total = name === null ? undefined : numberIn(place, totalField);
    if (name === null || total === undefined || total <= 0) continue;
    const noun = name.groups?.after ?? name.groups?.before;
    const doneName =
      noun === undefined
        ? new RegExp(`^${doneWord}$`)
        : new RegExp(`^(?:${doneWord}_${noun}|${noun}_${doneWord})$`);
    for (const field of place.fields) {
      const done =
        field === totalField || !doneName.test(field.name) ? undefined : numberIn(place, field);
      if (done === undefined) continue;
      return { fraction: clamped(done / total), text: `${done} of ${total}` };
    }
  }
  return undefined;
}

function statusIn(place: ReflectMessage): string | undefined {
  for (const name of statusNames) {
    const field = place.fields.find((one) => one.name === name);
    if (field === undefined || !place.isSet(field)) continue;
    if (field.fieldKind === "scalar" && field.scalar === ScalarType.STRING) {
      return String(place.get(field));
    }
    if (field.fieldKind === "enum") {
      const value = place.get(field);
      return field.enum.value[value]?.name ?? String(value);
    }
  }
  return undefined;
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
