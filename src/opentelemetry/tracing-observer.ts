import {
  type Attributes,
  context,
  isSpanContextValid,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import {
  type ObservedWait,
  OperationError,
  type WaitEnd,
  type WaitObservation,
  type WaitObserver,
} from "../client/index.js";
import { codeName } from "../status/index.js";

/** The tracer of the observer. */
export interface TracingOptions {
  /** Creates the tracer. Default: the provider registered with `@opentelemetry/api`, if any. */
  tracerProvider?: TracerProvider | undefined;
}

/**
 * Creates an observer for `ClientOptions.observer` that records one span for each wait. A
 * wait is a `result()`, an `outcome()` or an iteration. Its span ends with it, including when
 * the caller leaves the iteration. Without a registered tracer the observer does nothing.
 *
 * The span is named `package.Service/Method wait` after the method that started the
 * operation. It is a child of the span that is active when the wait begins, and links to
 * the span that was active when the operation was started. A resumed operation has no such
 * link. The span is not made active: one loop polls for all waits for an operation, so its
 * calls are not children of one wait.
 *
 * Its kind is INTERNAL, as in google-cloud-go. A span of kind CLIENT represents one call
 * to a remote service, and backends derive their service map and request counts from it.
 * The calls here are the polls, and the transport's own instrumentation records their spans.
 *
 * Attributes, the first four with the names in Google's client libraries (google-cloud-go
 * longrunning/longrunning.go, google-cloud-rust tests/o11y/src/lro_tracing.rs):
 *
 * | attribute | is |
 * |---|---|
 * | `gcp.resource.destination.id` | the operation's name |
 * | `gcp.longrunning.poll_attempt_count` | number of polls of the wait |
 * | `gcp.longrunning.done` | whether a poll found the operation done |
 * | `gcp.longrunning.status_code` | once it is done, the number of its google.rpc.Code: 0 with a response; missing if it has no result |
 * | `error.type` | the code of the wait's error by its google.rpc.Code name; missing if the wait has no error |
 * | `connect_longrunning.wait.end` | `succeeded`, the `kind` of the OperationError, `stopped` if the caller left an iteration, `policy` if the caller's poll policy threw |
 * | `connect_longrunning.wait.failed_polls` | number of failed polls of the wait |
 * | `connect_longrunning.wait.paused_ms` | time spent in pauses between polls, in milliseconds |
 * | `connect_longrunning.wait.overshoot_ms` | maximum delay between the operation's end and its detection, in milliseconds; only if the operation is done |
 *
 * The span's status is ERROR with the error's message for every wait that rejects, and
 * for an operation that ended with an error.
 *
 * @example
 * const client = createOperationsClient(transport, { observer: createTracingObserver() });
 */
export function createTracingObserver(options: TracingOptions = {}): WaitObserver {
  const tracer = (options.tracerProvider ?? trace).getTracer("connect-longrunning");
  return {
    operationStarted: () => trace.getSpanContext(context.active()),
    waitStarted(wait) {
      const span = tracer.startSpan(`${wait.method} wait`, {
        kind: SpanKind.INTERNAL,
        attributes: { "gcp.resource.destination.id": wait.operationName },
        links: linksOf(wait),
      });
      let failedPolls = 0;
      return {
        polled(look) {
          if ("error" in look) failedPolls += 1;
        },
        ended(end) {
          span.setAttributes(attributesOf(end, failedPolls));
          if (end.error !== undefined) {
            span.setStatus({ code: SpanStatusCode.ERROR, message: end.error.rawMessage });
          }
          span.end();
        },
      } satisfies WaitObservation;
    },
  };
}

/** The link to where the operation was started, as `operationStarted` found it. */
function linksOf({ link }: ObservedWait): { context: SpanContext }[] {
  const started = link as SpanContext | undefined;
  return started !== undefined && isSpanContextValid(started) ? [{ context: started }] : [];
}

/** Returns only the attributes that apply, because an attribute must not be undefined. */
function attributesOf(end: WaitEnd, failedPolls: number): Attributes {
  const statusCode = statusCodeOf(end);
  return {
    "gcp.longrunning.poll_attempt_count": end.polls,
    "gcp.longrunning.done": end.done,
    ...(statusCode !== undefined && { "gcp.longrunning.status_code": statusCode }),
    ...(end.error !== undefined && { "error.type": codeName(end.error.code) }),
    "connect_longrunning.wait.end": howEnded(end),
    "connect_longrunning.wait.failed_polls": failedPolls,
    "connect_longrunning.wait.paused_ms": end.pausedMs,
    ...(end.done && { "connect_longrunning.wait.overshoot_ms": end.overshootMs }),
  };
}

/**
 * A number, 0 for a response, and only once the operation is done: so do google-cloud-go
 * (`attribute.Int("gcp.longrunning.status_code", …)`) and google-cloud-rust, whose test
 * expects 3 here and "INVALID_ARGUMENT" in `error.type`.
 */
function statusCodeOf({ snapshot }: WaitEnd): number | undefined {
  if (snapshot.kind === "running") return undefined;
  const { result } = snapshot.operation;
  if (result.case === "error") return result.value.code;
  return result.case === "response" || snapshot.kind === "succeeded" ? 0 : undefined;
}

function howEnded({ error, snapshot }: WaitEnd): string {
  if (error instanceof OperationError) return error.kind;
  if (snapshot.kind !== "running") return snapshot.kind;
  return error === undefined ? "stopped" : "policy";
}
