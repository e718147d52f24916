import type { DescMessage } from "@bufbuild/protobuf";
import { inRange } from "../internal/option-bounds.js";
import { fullName, type LongRunningMethod } from "../operation/long-running.js";
import type { OperationRecord } from "../store/operation-store.js";
import { cancellationUnsupported, notCancellable } from "./errors.js";
import type { DeleteRunning, MethodOptions, Parallel, Recovery } from "./method-options.js";
import { type StandardMetadata, standardMetadataOf } from "./standard-metadata.js";

/** The rules for the operations of one method. */
export interface MethodPolicy {
  readonly retentionMs: number;
  readonly deadlineMs: number | undefined;
  readonly parallel: Parallel;
  readonly recovery: Recovery;
  readonly cancellable: boolean;
  readonly cancelGraceMs: number | undefined;
  readonly deleteRunning: DeleteRunning;
  /** The standard metadata fields. Undefined if the metadata has no such field. */
  readonly metadata: StandardMetadata | undefined;
}

/** The rules for the operations of a method without options. */
export interface PolicyDefaults {
  readonly retentionMs: number;
  readonly deadlineMs: number | undefined;
  readonly deleteRunning: DeleteRunning;
  /** Whether the service has CancelOperation. */
  readonly cancellation: boolean;
}

/** The registered long-running methods of a server, each with its policy. */
export interface Methods {
  /**
   * Registers a method that this server handles.
   *
   * @throws TypeError if it is handled already; RangeError for an option out of its bounds.
   */
  handle<I extends DescMessage, R extends DescMessage>(
    method: LongRunningMethod<I, R>,
    options: Pick<MethodOptions<I, R>, PolicyOption>,
  ): MethodPolicy;
  /** Registers a method that another process may handle. Returns its policy, or the defaults. */
  use(method: LongRunningMethod): MethodPolicy;
  /** Returns the policy of an operation's method; the defaults if the method is not registered. */
  policyOf(method: string): MethodPolicy;
  /** All registered methods. List filters can read their metadata and response types. */
  all(): readonly LongRunningMethod[];
  /** @throws ConnectError `Unimplemented` if no operation can be cancelled. */
  assertCancellation(): void;
  /** @throws ConnectError `FailedPrecondition` if the operation is not done and cannot be cancelled. */
  assertCancellable(record: OperationRecord): void;
}

type PolicyOption = Exclude<keyof MethodPolicy, "metadata"> | "target" | "verb" | "apiVersion";

interface RegisteredMethod {
  readonly method: LongRunningMethod;
  readonly policy: MethodPolicy;
  readonly isHandled: boolean;
}

export function createMethods(defaults: PolicyDefaults): Methods {
  const methods = new Map<string, RegisteredMethod>();
  const fallback: MethodPolicy = {
    ...defaults,
    parallel: "queue",
    recovery: "resume",
    cancellable: true,
    cancelGraceMs: undefined,
    metadata: undefined,
  };
  const policyOf = (method: string) => methods.get(method)?.policy ?? fallback;
  return {
    handle(method, options) {
      const name = fullName(method.method);
      if (methods.get(name)?.isHandled) throw new TypeError(`${name} is handled already`);
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
      methods.set(name, { method, policy, isHandled: true });
      return policy;
    },
    use(method) {
      const name = fullName(method.method);
      const registered = methods.get(name);
      if (registered !== undefined) return registered.policy;
      const policy = { ...fallback, metadata: standardMetadataOf(method, {}) };
      methods.set(name, { method, policy, isHandled: false });
      return policy;
    },
    policyOf,
    all: () => Array.from(methods.values(), ({ method }) => method),
    assertCancellation() {
      if (!defaults.cancellation) throw cancellationUnsupported();
    },
    assertCancellable({ name, method, state }) {
      const { cancellable } = policyOf(method);
      if (!cancellable && state !== "done") throw notCancellable(name, method);
    },
  };
}

/** Checks an option in milliseconds that is finite and not negative. */
export function milliseconds(option: string, value: number): number {
  return inRange(option, value, 0, Number.MAX_SAFE_INTEGER);
}

/** Checks an option in milliseconds that may be undefined. */
export function optionalMilliseconds(
  option: string,
  value: number | undefined,
): number | undefined {
  return value === undefined ? undefined : milliseconds(option, value);
}
