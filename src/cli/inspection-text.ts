import { formatAge } from "../display/format-time.js";
import { printable } from "../display/printable.js";
import { styled } from "../display/style.js";
import { codeName } from "../status/code.js";
import type {
  InspectedDelivery,
  InspectedPayload,
  LossCause,
  LostAttempt,
  OperationInspection,
} from "../store/index.js";
import type { Output } from "./terminal.js";

/** Returns a time in RFC 3339 with microseconds, as the database keeps it. */
export function timeText(micros: number): string {
  const millis = Math.floor(micros / 1000);
  const below = String(micros - millis * 1000).padStart(3, "0");
  return new Date(millis).toISOString().replace("Z", `${below}Z`);
}

/**
 * Returns a copy for JSON: each member `xTimeMicros` becomes the member `xTime` with text in
 * RFC 3339, at every depth.
 */
export function withTimeTexts(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withTimeTexts);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) =>
      key.endsWith("TimeMicros")
        ? [key.slice(0, -"Micros".length), typeof member === "number" ? timeText(member) : null]
        : [key, withTimeTexts(member)],
    ),
  );
}

const causeTexts: Readonly<Record<LossCause, string>> = {
  "no-sign-of-life": "the process gave no sign of life: it was killed, suspended or cut off",
  "process-ended": "the process ended without a shutdown",
  shutdown: "the process shut down, and the work went on after the grace",
  "event-loop-stalled": "the event loop of the process stood still",
  "database-unreachable": "the process lived, and its renewals did not reach the database",
  "lease-expired": "the process lived, and its lease was over",
  requeued: "an operator took the operation away",
  unknown: "not known",
};

/** Returns the text of `longrunning inspect` for people. */
export function inspectionText(
  operation: OperationInspection,
  nowMs: number,
  output: Output,
): string {
  const age = (micros: number) => formatAge(nowMs - micros / 1000);
  const at = (micros: number | null) =>
    micros === null ? undefined : `${timeText(micros)} (${age(micros)} ago)`;
  const until = (micros: number | null) => {
    if (micros === null) return undefined;
    const leftMs = micros / 1000 - nowMs;
    return `${timeText(micros)} (${leftMs < 0 ? `${age(micros)} ago` : `in ${formatAge(leftMs)}`})`;
  };
  const { attempt, losses, handovers, error, response } = operation;
  const lines: readonly (readonly [label: string, value: string | undefined])[] = [
    [
      "state",
      `${operation.state}, attempt ${attempt} (${losses} lost, ${handovers} handed over)${operation.external ? ", external" : ""}`,
    ],
    ["method", printable(operation.method)],
    ["principal", printable(operation.principal) || "none"],
    ["owner", ownerText(operation, age)],
    ["queue", operation.delivery === null ? undefined : deliveryText(operation.delivery, age)],
    ["request id", printableOr(operation.requestId)],
    ["resource", printableOr(operation.resourceKey)],
    ["trace", printableOr(operation.traceContext?.traceparent ?? null)],
    ["created", at(operation.createTimeMicros)],
    ["updated", at(operation.updateTimeMicros)],
    ["deadline", until(operation.deadlineTimeMicros)],
    ["cancel requested", at(operation.cancelRequestTimeMicros)],
    ["deleted", at(operation.deleteTimeMicros)],
    ["ended", at(operation.endTimeMicros)],
    ["expires", until(operation.expireTimeMicros)],
    ["error", error === null ? undefined : `${codeName(error.code)}: ${printable(error.message)}`],
    ["response", payloadText(response)],
    ["metadata", payloadText(operation.metadata)],
    ["checkpoint", payloadText(operation.checkpoint)],
    ["request", payloadText(operation.request)],
  ];
  const shown = lines.flatMap(([label, value]) =>
    value === undefined ? [] : [`  ${`${label}:`.padEnd(18)}${value}`],
  );
  const lost = operation.lostAttempts.map((each) => `    ${lostAttemptText(each, age)}`);
  return [
    styled(output, "bold", printable(operation.name)),
    ...shown,
    ...(lost.length === 0 ? [] : ["  lost attempts:", ...lost]),
    "",
  ].join("\n");
}

function ownerText(
  { owner, claimTimeMicros, ownerSeenTimeMicros }: OperationInspection,
  age: (micros: number) => string,
): string | undefined {
  if (owner === null) return undefined;
  const since = claimTimeMicros === null ? "" : `, claimed ${age(claimTimeMicros)} ago`;
  const seen =
    ownerSeenTimeMicros === null ? "" : `, last sign of life ${age(ownerSeenTimeMicros)} ago`;
  return `${printable(owner)}${since}${seen}`;
}

function deliveryText(
  { state, dueTimeMicros, renewTimeMicros }: InspectedDelivery,
  age: (micros: number) => string,
): string {
  switch (state) {
    case "queued":
      return `queued, due since ${dueTimeMicros === null ? "an unknown time" : age(dueTimeMicros)}`;
    case "delayed":
      return `queued, not due before ${dueTimeMicros === null ? "an unknown time" : timeText(dueTimeMicros)}`;
    case "running":
      return `running, lease renewed ${renewTimeMicros === null ? "at an unknown time" : `${age(renewTimeMicros)} ago`}`;
    case "none":
      return "the queue does not know it: `longrunning requeue` queues it again";
  }
}

function lostAttemptText(
  { attempt, owner, lossTimeMicros, seenTimeMicros, cause, detail }: LostAttempt,
  age: (micros: number) => string,
): string {
  const seen = seenTimeMicros === null ? "" : `, last sign of life ${age(seenTimeMicros)} ago`;
  return `attempt ${attempt}, lost ${timeText(lossTimeMicros)} (${age(lossTimeMicros)} ago) by ${
    owner === null ? "an unknown process" : printable(owner)
  }: ${causeTexts[cause]}${detail === "" ? "" : ` (${printable(detail)})`}${seen}`;
}

function payloadText(payload: InspectedPayload | null): string | undefined {
  if (payload === null) return undefined;
  const { typeUrl, bytes } = payload;
  return `${bytes} bytes${typeUrl === "" ? "" : ` of ${printable(typeUrl)}`}`;
}

function printableOr(text: string | null): string | undefined {
  return text === null ? undefined : printable(text);
}
