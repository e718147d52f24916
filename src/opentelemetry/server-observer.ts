import { ConnectError } from "@connectrpc/connect";
import {
  context,
  isSpanContextValid,
  type MeterProvider,
  metrics,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import type { OperationsObserver } from "../server/observer.js";
import { codeName } from "../status/index.js";

/** Where spans and metrics go. */
export interface TelemetryOptions {
  /** What makes the tracer. Default: the one that is registered with `@opentelemetry/api`, if any. */
  tracerProvider?: TracerProvider | undefined;
  /** What makes the meter. Default: the one that is registered with `@opentelemetry/api`, if any. */
  meterProvider?: MeterProvider | undefined;
}

/** How many operations' start spans are remembered for the links of their runs, the latest ones. */
const maxRememberedStarts = 10_000;

/**
 * An observer that makes a span of each attempt and metrics of all of them, for
 * `OperationsOptions.observer`. Where no tracer and no meter are registered it does nothing.
 *
 * The span is named `package.Service/Method run`, is a root of its own and links to the span
 * that was active where the operation was started, if that was in this process. It is active
 * while the work runs, so that what the work calls becomes its child. Its attributes are
 * `gcp.resource.destination.id`, the operation's name, `connect_longrunning.attempt`, and
 * `error.type` for work that threw, whose span has the status ERROR.
 *
 * | metric | unit | is |
 * |---|---|---|
 * | `connect_longrunning.queue.duration` | s | histogram: from the start to the first attempt |
 * | `connect_longrunning.run.duration` | s | histogram: of each attempt |
 * | `connect_longrunning.operation.duration` | s | histogram: from the start to the end, by outcome |
 * | `connect_longrunning.operations.started` | {operation} | counter |
 * | `connect_longrunning.operations.ended` | {operation} | counter, by outcome |
 * | `connect_longrunning.runs.retried` | {run} | counter: failed attempts that are not the last |
 * | `connect_longrunning.runs.lost` | {run} | counter: attempts that had lost their operation |
 * | `connect_longrunning.waiters` | {call} | up-down counter: WaitOperation calls that are held |
 * | `connect_longrunning.queue.depth` | {operation} | up-down counter: what waits for its turn |
 *
 * All but the last two carry `connect_longrunning.method`. The outcome is
 * `connect_longrunning.code`, the name of the google.rpc.Code, `OK` for a response.
 */
export function createServerObserver(options: TelemetryOptions = {}): OperationsObserver {
  const tracer = (options.tracerProvider ?? trace).getTracer("connect-longrunning");
  const meter = (options.meterProvider ?? metrics).getMeter("connect-longrunning");
  const histogram = (name: string) =>
    meter.createHistogram(`connect_longrunning.${name}.duration`, { unit: "s" });
  const counter = (name: string, unit: string) =>
    meter.createCounter(`connect_longrunning.${name}`, { unit });
  const level = (name: string, unit: string) => {
    const instrument = meter.createUpDownCounter(`connect_longrunning.${name}`, { unit });
    let last = 0;
    return (now: number) => {
      instrument.add(now - last);
      last = now;
    };
  };
  const queueDuration = histogram("queue");
  const runDuration = histogram("run");
  const operationDuration = histogram("operation");
  const started = counter("operations.started", "{operation}");
  const ended = counter("operations.ended", "{operation}");
  const retried = counter("runs.retried", "{run}");
  const lost = counter("runs.lost", "{run}");
  const starts = createRememberedStarts();
  const of = (method: string) => ({ "connect_longrunning.method": method });

  return {
    started({ name, method }) {
      started.add(1, of(method));
      starts.remember(name, trace.getSpanContext(context.active()));
    },
    claimed({ name, method, attempt, queueMs }) {
      if (queueMs !== undefined) queueDuration.record(queueMs / 1000, of(method));
      const link = starts.of(name);
      const span = tracer.startSpan(`${method} run`, {
        kind: SpanKind.INTERNAL,
        root: true,
        attributes: {
          "gcp.resource.destination.id": name,
          "connect_longrunning.attempt": attempt,
        },
        links: link === undefined ? [] : [{ context: link }],
      });
      return {
        within: (work) => context.with(trace.setSpan(context.active(), span), work),
        settled(runMs, thrown) {
          runDuration.record(runMs / 1000, of(method));
          if (thrown !== undefined) {
            span.setAttribute("error.type", errorType(thrown));
            span.setStatus({ code: SpanStatusCode.ERROR, message: String(thrown) });
          }
          span.end();
        },
      };
    },
    retried: ({ method }) => retried.add(1, of(method)),
    lost: ({ method }) => lost.add(1, of(method)),
    ended({ name, method, code, totalMs }) {
      starts.forget(name);
      const outcome = { ...of(method), "connect_longrunning.code": codeName(code) };
      ended.add(1, outcome);
      operationDuration.record(totalMs / 1000, outcome);
    },
    waitersChanged: level("waiters", "{call}"),
    queueDepthChanged: level("queue.depth", "{operation}"),
  };
}

/** The spans in which operations were started, the latest ones of those that have not ended. */
function createRememberedStarts() {
  const spans = new Map<string, SpanContext>();
  return {
    remember(name: string, span: SpanContext | undefined) {
      if (span === undefined || !isSpanContextValid(span)) return;
      spans.set(name, span);
      const [oldest] = spans.size > maxRememberedStarts ? spans.keys() : [];
      if (oldest !== undefined) spans.delete(oldest);
    },
    of: (name: string) => spans.get(name),
    forget: (name: string) => spans.delete(name),
  };
}

function errorType(thrown: unknown): string {
  if (thrown instanceof ConnectError) return codeName(thrown.code);
  return thrown instanceof Error ? thrown.name : "_OTHER";
}
