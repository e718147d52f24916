import type { DescMessage } from "@bufbuild/protobuf";
import { inRange } from "../internal/option-bounds.js";
import { fullName, type LongRunningMethod } from "../operation/long-running.js";
import type { OperationRecord } from "../store/operation-store.js";
import { cancellationUnsupported, notCancellable } from "./errors.js";
import type { DeleteRunning, MethodOptions, Parallel, Recovery } from "./method-options.js";
import { type StandardMetadata, standardMetadataOf } from "./standard-metadata.js";

/** What holds for the operations of one method. */
export interface MethodPolicy {
  readonly retentionMs: number;
  readonly deadlineMs: number | undefined;
  readonly parallel: Parallel;
  readonly recovery: Recovery;
  readonly cancellable: boolean;
  readonly cancelGraceMs: number | undefined;
  readonly deleteRunning: DeleteRunning;
  /** Undefined where the server keeps no field of the metadata. */
  readonly metadata: StandardMetadata | undefined;
}

/** What holds for the operations of methods that say nothing else. */
export interface PolicyDefaults {
  readonly retentionMs: number;
  readonly deadlineMs: number | undefined;
  readonly deleteRunning: DeleteRunning;
  /** Whether the service has CancelOperation. */
  readonly cancellation: boolean;
}

/** The policies of the methods that this process knows. */
export interface MethodPolicies {
  /** The policy of an operation's method; the defaults where this process does not know it. */
  of(method: string): MethodPolicy;
  /** @throws RangeError for an option out of its bounds. */
  declare<I extends DescMessage, R extends DescMessage>(
    method: LongRunningMethod<I, R>,
    options: MethodOptions<I, R>,
  ): MethodPolicy;
  /** Of a method that this process need not handle: what was declared, or else the defaults. */
  known(method: LongRunningMethod): MethodPolicy;
  /** @throws ConnectError `Unimplemented` where nothing can be cancelled. */
  assertCancellation(): void;
  /** @throws ConnectError `FailedPrecondition` where this operation cannot be cancelled and is not done. */
  assertCancellable(record: OperationRecord): void;
}

export function createMethodPolicies(defaults: PolicyDefaults): MethodPolicies {
  const policies = new Map<string, MethodPolicy>();
  const fallback: MethodPolicy = {
    ...defaults,
    parallel: "queue",
    recovery: "resume",
    cancellable: true,
    cancelGraceMs: undefined,
    metadata: undefined,
  };
  return {
    of: (method) => policies.get(method) ?? fallback,
    declare(method, options) {
      const { retentionMs, deadlineMs, cancelGraceMs } = options;
      const policy: MethodPolicy = {
        retentionMs: milliseconds("retentionMs", retentionMs ?? defaults.retentionMs),
        deadlineMs: optionalMilliseconds("deadlineMs", deadlineMs) ?? defaults.deadlineMs,
        parallel: options.parallel ?? fallback.parallel,
        recovery: options.recovery ?? fallback.recovery,
        cancellable: options.cancellable ?? true,
        cancelGraceMs: optionalMilliseconds("cancelGraceMs", cancelGraceMs),
        deleteRunning: options.deleteRunning ?? defaults.deleteRunning,
        metadata: standardMetadataOf(method, options),
      };
      policies.set(fullName(method.method), policy);
      return policy;
    },
    known(method) {
      const name = fullName(method.method);
      const known = policies.get(name);
      if (known !== undefined) return known;
      const policy = { ...fallback, metadata: standardMetadataOf(method, {}) };
      policies.set(name, policy);
      return policy;
    },
    assertCancellation() {
      if (!defaults.cancellation) throw cancellationUnsupported();
    },
    assertCancellable({ name, method, state }) {
      const { cancellable } = policies.get(method) ?? fallback;
      if (!cancellable && state !== "done") throw notCancellable(name, method);
    },
  };
}

/** A time of whatever length that is not endless. */
export function milliseconds(option: string, value: number): number {
  return inRange(option, value, 0, Number.MAX_SAFE_INTEGER);
}

/** The same for what may be left out. */
export function optionalMilliseconds(
  option: string,
  value: number | undefined,
): number | undefined {
  return value === undefined ? undefined : milliseconds(option, value);
}
