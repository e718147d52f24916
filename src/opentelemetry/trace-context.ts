import { createTraceState, isSpanContextValid, type SpanContext } from "@opentelemetry/api";
import type { TraceContext } from "../server/observer.js";

/*
 * The W3C trace context in the form of its two headers, https://www.w3.org/TR/trace-context/. A
 * propagator of OpenTelemetry would read and write more than that, and nothing if none is registered.
 */

/** `version-traceid-parentid-flags`. A later version may have more behind it. */
const traceparentPattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** The longest tracestate that OpenTelemetry reads. A longer one is left out. */
const maxTracestateLength = 512;

/** Returns the trace context of a span; undefined if its ids are not valid. */
export function traceContextOfSpan(span: SpanContext): TraceContext | undefined {
  if (!isSpanContextValid(span)) return undefined;
  const flags = (span.traceFlags & 0xff).toString(16).padStart(2, "0");
  return {
    traceparent: `00-${span.traceId}-${span.spanId}-${flags}`,
    tracestate: bounded(span.traceState?.serialize()),
  };
}

/** Returns the trace context of a request; undefined if it has no valid one. */
export function traceContextOfHeaders(headers: Headers | undefined): TraceContext | undefined {
  const traceparent = headers?.get("traceparent")?.trim();
  if (traceparent === undefined || traceparent === null) return undefined;
  const found = { traceparent, tracestate: bounded(headers?.get("tracestate") ?? undefined) };
  const span = spanOfTraceContext(found);
  // The result has the form of this version, without the fields that a later version adds.
  return span && traceContextOfSpan(span);
}

/** Returns the span of a trace context in another process; undefined if it is not valid. */
export function spanOfTraceContext(traceContext: TraceContext): SpanContext | undefined {
  const { traceparent, tracestate } = traceContext;
  const [, version, traceId, spanId, flags, rest] = traceparentPattern.exec(traceparent) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (version === "ff" || (version === "00" && rest !== undefined)) return undefined;
  const span: SpanContext = {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
    traceState: tracestate === undefined ? undefined : createTraceState(tracestate),
  };
  return isSpanContextValid(span) ? span : undefined;
}

function bounded(tracestate: string | undefined): string | undefined {
  return tracestate === undefined || tracestate === "" || tracestate.length > maxTracestateLength
    ? undefined
    : tracestate;
}
