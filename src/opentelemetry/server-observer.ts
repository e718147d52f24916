import { ConnectError } from "@connectrpc/connect";
import {
  context,
  type MeterProvider,
  SpanKind,
  SpanStatusCode,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import type { OperationsObserver } from "../server/observer.js";
import { codeName } from "../status/index.js";
import { createInstruments, ofMethod, prefix } from "./instruments.js";
import { spanOfTraceContext, traceContextOfHeaders, traceContextOfSpan } from "./trace-context.js";

/** The tracer and the meter of the observer. */
export interface TelemetryOptions {
  /** Creates the tracer. Default: the provider registered with `@opentelemetry/api`, if any. */
  tracerProvider?: TracerProvider | undefined;
  /** Creates the meter. Default: the provider registered with `@opentelemetry/api`, if any. */
  meterProvider?: MeterProvider | undefined;
}

/** The number of OK, which is not in Connect's `Code`. */
const ok: number = 0;

/**
 * Returns an observer that makes a span of each attempt and metrics of all of them, for
 * `OperationsOptions.observer`. Where no tracer and no meter are registered it does nothing.
 *
 * The span follows OpenTelemetry's conventions for messages that are processed: it is named `run
 * package.Service/Method`, its kind is CONSUMER, and it is the root of a trace of its own that
 * links to the span in which the operation was started, in this process or another one. That is the
 * span that was active, or without one the `traceparent` of the call. The store keeps it, with the
 * `tracestate`. The span of the run is active while the work runs, so that the calls of the work
 * become its children.
 *
 * Its attributes are `messaging.system` (`connect_longrunning`), `messaging.operation.name`
 * (`run`), `messaging.operation.type` (`process`), `messaging.destination.name` (the method),
 * `messaging.message.id` and `gcp.resource.destination.id` (the operation's name),
 * `connect_longrunning.attempt`, and `error.type` for work that threw, whose span has the status
 * ERROR.
 *
 * | metric | unit | is |
 * |---|---|---|
 * | `connect_longrunning.queue.duration` | s | histogram: from the start to the first attempt |
 * | `connect_longrunning.run.duration` | s | histogram: of each attempt |
 * | `connect_longrunning.operation.duration` | s | histogram: from the start to the end, by outcome |
 * | `connect_longrunning.operations.started` | {operation} | counter |
 * | `connect_longrunning.operations.ended` | {operation} | counter, by outcome |
 * | `connect_longrunning.rpcs` | {call} | counter, by `connect_longrunning.rpc` and code: answered starts and calls of the five methods |
 * | `connect_longrunning.runs.retried` | {run} | counter: failed attempts that are not the last |
 * | `connect_longrunning.runs.lost` | {run} | counter: attempts that had lost their operation |
 * | `connect_longrunning.wake.duration` | s | histogram: from the end to the answer of a WaitOperation call that was held |
 * | `connect_longrunning.waiters` | {call} | up-down counter: WaitOperation calls that are held |
 * | `connect_longrunning.queue.depth` | {operation} | up-down counter: operations that wait for their turn |
 *
 * All but the last two carry `connect_longrunning.method`. A wake's time is as exact as the store's
 * clock and this process's agree. The outcome is `connect_longrunning.code`, the name of the
 * google.rpc.Code, `OK` for a response.
 *
 * @example
 * const operations = createOperations({ observer: createServerObserver() });
 */
export function createServerObserver(options: TelemetryOptions = {}): OperationsObserver {
  const tracer = (options.tracerProvider ?? trace).getTracer("connect-longrunning");
  const { counter, durations, level } = createInstruments(options.meterProvider);
  const queueDuration = durations("queue.duration", "work", "From the start to the first attempt.");
  const runDuration = durations("run.duration", "work", "How long attempts ran.");
  const operationDuration = durations("operation.duration", "work", "From the start to the end.");
  const wakeDuration = durations(
    "wake.duration",
    "news",
    "From the end to the answer of a WaitOperation call that was held.",
  );
  const started = counter("operations.started", "{operation}", "Operations started here.");
  const ended = counter("operations.ended", "{operation}", "Operations ended here.");
  const retried = counter("runs.retried", "{run}", "Failed attempts that are not the last.");
  const lost = counter("runs.lost", "{run}", "Attempts that had lost their operation.");
  const rpcs = counter("rpcs", "{call}", "Answered starts and calls of the five methods.");
  const ofRpc = (rpc: string, code: number) => ({
    [`${prefix}rpc`]: rpc,
    [`${prefix}code`]: codeName(code),
  });
  for (const rpc of ["Get", "List", "Wait", "Cancel", "Delete"]) {
    rpcs(ofRpc(rpc === "List" ? "ListOperations" : `${rpc}Operation`, 0), 0);
  }

  return {
    handled(method) {
      for (const count of [started, retried, lost]) count(ofMethod(method), 0);
      ended({ ...ofMethod(method), [`${prefix}code`]: codeName(ok) }, 0);
      rpcs(ofRpc(method, 0), 0);
    },
    answered: ({ rpc, code }) => rpcs(ofRpc(rpc, code)),
    starting({ requestHeader }) {
      const active = trace.getSpanContext(context.active());
      return (active && traceContextOfSpan(active)) ?? traceContextOfHeaders(requestHeader());
    },
    started: ({ method }) => started(ofMethod(method)),
    claimed({ name, method, attempt, queueMs, traceContext }) {
      if (queueMs !== undefined) queueDuration(queueMs, ofMethod(method));
      const link = traceContext && spanOfTraceContext(traceContext);
      const span = tracer.startSpan(`run ${method}`, {
        kind: SpanKind.CONSUMER,
        root: true,
        attributes: {
          "messaging.system": "connect_longrunning",
          "messaging.operation.name": "run",
          "messaging.operation.type": "process",
          "messaging.destination.name": method,
          "messaging.message.id": name,
          "gcp.resource.destination.id": name,
          "connect_longrunning.attempt": attempt,
        },
        links: link === undefined ? [] : [{ context: link }],
      });
      return {
        within: (work) => context.with(trace.setSpan(context.active(), span), work),
        settled(runMs, thrown) {
          runDuration(runMs, ofMethod(method));
          if (thrown !== undefined) {
            span.setAttribute("error.type", errorType(thrown));
            span.setStatus({ code: SpanStatusCode.ERROR, message: String(thrown) });
          }
          span.end();
        },
      };
    },
    retried: ({ method }) => retried(ofMethod(method)),
    lost: ({ method }) => lost(ofMethod(method)),
    ended({ method, code, totalMs }) {
      const outcome = { ...ofMethod(method), [`${prefix}code`]: codeName(code) };
      ended(outcome);
      operationDuration(totalMs, outcome);
    },
    woken: ({ method, wakeMs }) => wakeDuration(wakeMs, ofMethod(method)),
    waitersChanged: level("waiters", "{call}", "WaitOperation calls that are held."),
    queueDepthChanged: level(
      "queue.depth",
      "{operation}",
      "Operations that wait for their turn in this process's own queue.",
    ),
  };
}

function errorType(thrown: unknown): string {
  if (thrown instanceof ConnectError) return codeName(thrown.code);
  return thrown instanceof Error ? thrown.name : "_OTHER";
}
