import type { Registry } from "@bufbuild/protobuf";
import { typeNameFromUrl } from "../internal/type-url.js";
import type { Operation } from "../protos.js";
import { isSameResult } from "./equality.js";
import type { CallEvidence } from "./evidence.js";
import type { Protocol } from "./wire/answer.js";
import type { OperationFacts } from "./wire/operation-facts.js";

/** The invariants of every Operation in every answer. */
export const invariants = ["inv.result", "inv.code", "inv.any", "inv.final", "inv.name"] as const;
export type Invariant = (typeof invariants)[number];

/** An operation as one answer showed it. */
export interface Sighting {
  readonly protocol: Protocol;
  readonly method: string;
  /** Name that a Get or Wait asked for. Undefined for lists and starts. */
  readonly asked: string | undefined;
  readonly operation: Operation;
  readonly facts: OperationFacts | undefined;
  readonly startMs: number;
  readonly endMs: number;
  readonly call: CallEvidence;
}

export interface Violation {
  readonly expected: string;
  readonly actual: string;
  readonly calls: readonly CallEvidence[];
}

/** Watches all answers for violations of the invariants. */
export interface Ledger {
  record(sighting: Sighting): void;
  /** Forgets that operations were done, after a restart of a server that is not durable. */
  forget(): void;
  /** First violation over a protocol; undefined without one. */
  violation(invariant: Invariant, protocol: Protocol): Violation | undefined;
  /** Whether an answer over the protocol could have violated it. */
  isExercised(invariant: Invariant, protocol: Protocol): boolean;
}

/** Most names whose end is remembered. */
const maxNames = 10_000;

export function createLedger(types: () => Registry): Ledger {
  const violations = new Map<string, Violation>();
  const exercised = new Set<string>();
  /** The first answer of each protocol format that showed an operation done. */
  const ends = new Map<string, Sighting>();

  const note = (invariant: Invariant, sighting: Sighting, violation: Violation | undefined) => {
    const key = `${invariant} ${sighting.protocol}`;
    exercised.add(key);
    if (violation !== undefined && !violations.has(key)) violations.set(key, violation);
  };
  const faultIf = (
    isFault: boolean,
    { call }: Sighting,
    expected: string,
    actual: string,
    earlier: readonly CallEvidence[] = [],
  ): Violation | undefined =>
    isFault ? { expected, actual, calls: [...earlier, call] } : undefined;

  return {
    record(sighting) {
      const { operation, facts, asked } = sighting;
      const { name, done, result } = operation;
      if (facts !== undefined) {
        const both = facts.hasError && facts.hasResponse;
        const early = !facts.done && (facts.hasError || facts.hasResponse);
        note(
          "inv.result",
          sighting,
          faultIf(
            both || early,
            sighting,
            "at most one of error and response, and neither while done is false",
            both ? `"${name}" has both` : `"${name}" is not done and has a result`,
          ),
        );
      }
      if (result.case === "error") {
        const { code } = result.value;
        note(
          "inv.code",
          sighting,
          faultIf(
            code < 1 || code > 16,
            sighting,
            "an error.code from 1 to 16 (google.rpc.Code)",
            `"${name}" has error.code ${code}`,
          ),
        );
      }
      const anys = [
        ...(operation.metadata === undefined ? [] : [operation.metadata]),
        ...(result.case === "response" ? [result.value] : []),
        ...(result.case === "error" ? result.value.details : []),
      ];
      for (const { typeUrl } of anys) {
        const isUrl =
          typeUrl.includes("/") && /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/.test(typeNameFromUrl(typeUrl));
        note(
          "inv.any",
          sighting,
          faultIf(
            !isUrl,
            sighting,
            "a type_url with a slash before the full name of a message",
            `"${name}" has the type_url ${JSON.stringify(typeUrl)}`,
          ),
        );
      }
      if (asked !== undefined) {
        note(
          "inv.name",
          sighting,
          faultIf(
            name !== asked,
            sighting,
            `the operation "${asked}", which the request names`,
            `the operation "${name}"`,
          ),
        );
      }
      const isJson = sighting.protocol === "rest" || sighting.protocol === "connect-json";
      const key = `${isJson} ${asked ?? name}`;
      const end = ends.get(key);
      if (asked !== undefined && end !== undefined && sighting.startMs >= end.endMs) {
        const changed = !isSameResult(end.operation, operation, types());
        note(
          "inv.final",
          sighting,
          faultIf(
            !done || changed,
            sighting,
            "an operation that was done remains done with the same result",
            done ? `the result of "${asked}" changed` : `"${asked}" is no longer done`,
            [end.call],
          ),
        );
      }
      if (end === undefined && done && ends.size < maxNames) ends.set(key, sighting);
    },
    forget: () => ends.clear(),
    violation: (invariant, protocol) => violations.get(`${invariant} ${protocol}`),
    isExercised: (invariant, protocol) => exercised.has(`${invariant} ${protocol}`),
  };
}
