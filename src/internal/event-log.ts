import { type Clock, monotonicMs, systemClock } from "./clock.js";

/** An event of a server: its kind, and fields that depend on the kind. */
export interface LogEvent {
  readonly kind: string;
}

/** The methods of a logger that are used. pino's loggers and `console` are such loggers. */
export interface Logger {
  error(...values: unknown[]): unknown;
  warn(...values: unknown[]): unknown;
}

/** Options of a log. All fields are optional. */
export interface LogOptions {
  /**
   * `text`: time, level, kind and fields as `key=value`. `json`: one object, for log collectors. One
   * line for each event. Default: text.
   */
  format?: "text" | "json" | undefined;
  /**
   * Receives the lines, by `error` or `warn`. A pino logger gets the fields and the kind in place of a
   * line, with the exception as `err`. Default: `console`, whose `error` and `warn` print to standard
   * error.
   */
  logger?: Logger | undefined;
  /**
   * How many events of one kind are logged within ten seconds, at least 1. The number of the others
   * is logged afterwards, as an event of kind `log-dropped`. Default: 10.
   */
  maxEvents?: number | undefined;
  /** Default: the machine's clock. */
  clock?: Clock | undefined;
}

/** The events of one kind in one interval. */
interface KindCount {
  logged: number;
  dropped: number;
  /** The time of the monotonic clock at which the interval ends. */
  readonly endMs: number;
}

/** Kinds of events that need no action. All other kinds have the level `error`. */
const warnings: ReadonlySet<string> = new Set([
  "attempt-lost",
  "work-abandoned",
  "misconfigured",
  "connection-refused",
  "connections-cut",
  "log-dropped",
]);

/** Any client can cause these, as many as it likes. */
const silent: ReadonlySet<string> = new Set(["connection-failed"]);

const intervalMs = 10_000;

/**
 * Creates a log hook that writes one line for each event, and limits their rate.
 *
 * ```ts
 * const log = createLog({ format: "json" });
 * const operations = createOperations({ log });
 * ```
 */
export function createLog(options: LogOptions = {}): (event: LogEvent) => void {
  const { format = "text", logger = console, maxEvents = 10, clock = systemClock } = options;
  const counts = new Map<string, KindCount>();

  const write = (event: LogEvent) => {
    const level = warnings.has(event.kind) ? "warn" : "error";
    if (isPino(logger)) {
      const { cause, ...fields } = { cause: undefined, ...event };
      logger[level](cause === undefined ? fields : { ...fields, err: cause }, event.kind);
      return;
    }
    const time = new Date(clock.nowMs()).toISOString();
    const fields = { time, level, ...fieldsOf(event) };
    logger[level](format === "json" ? JSON.stringify(fields) : textOf(fields));
  };

  /** Ends the interval of a kind, if it has not ended, and reports what was dropped in it. */
  const end = (kind: string, count: KindCount) => {
    if (counts.get(kind) !== count) return;
    counts.delete(kind);
    if (count.dropped === 0) return;
    write({ kind: "log-dropped", of: kind, events: count.dropped, intervalMs } as LogEvent);
  };

  const endLater = (kind: string, count: KindCount) => {
    try {
      clock.schedule(intervalMs, () => end(kind, count), { background: true });
    } catch {
      // If no timer can be set, the next event of the kind ends the interval.
    }
  };

  return (event) => {
    const { kind } = event;
    if (silent.has(kind)) return;
    const nowMs = monotonicMs(clock);
    let count = counts.get(kind);
    if (count !== undefined && nowMs >= count.endMs) {
      // A Worker refuses timers at module level, and drops a request's timers after its response.
      end(kind, count);
      count = undefined;
    }
    if (count === undefined) {
      count = { logged: 0, dropped: 0, endMs: nowMs + intervalMs };
      counts.set(kind, count);
      endLater(kind, count);
    }
    if (count.logged < maxEvents) {
      count.logged += 1;
      write(event);
    } else {
      count.dropped += 1;
    }
  };
}

/** Returns the hook for a `log` option: a function as it is, a logger by `createLog`. */
export function logHookOf<Event extends LogEvent>(
  log: ((event: Event) => unknown) | Logger | undefined,
  clock?: Clock,
): (event: Event) => unknown {
  return typeof log === "function" ? log : createLog({ logger: log, clock });
}

/** pino's loggers take fields and a message. */
function isPino(logger: Logger): boolean {
  return "bindings" in logger && typeof logger.bindings === "function";
}

/** The fields of a line. An exception becomes its text and the first lines of its stack. */
function fieldsOf(event: LogEvent): Record<string, unknown> {
  const fields: Record<string, unknown> = { ...event };
  if (!("cause" in event)) return fields;
  const { cause } = event;
  fields.cause = textOfError(cause);
  const stack = cause instanceof Error ? cause.stack?.match(/^\s+at .*$/gm) : undefined;
  if (stack) fields.stack = stack.slice(0, maxFrames).map((frame) => frame.trim());
  return fields;
}

const maxFrames = 6;

function textOfError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = `${error.name}: ${error.message}`;
  return error.cause === undefined ? own : `${own}, caused by ${textOfError(error.cause)}`;
}

function textOf({ time, level, kind, ...fields }: Record<string, unknown>): string {
  const texts = Object.entries(fields).map(([key, value]) => `${key}=${valueText(value)}`);
  return [time, String(level).toUpperCase(), "connect-longrunning", kind, ...texts].join(" ");
}

/** Quotes what has spaces or control characters, so that an event stays one line. */
function valueText(value: unknown): string {
  if (Array.isArray(value)) return JSON.stringify(value.join(" | "));
  const text = String(value);
  return /^[!-~]+$/.test(text) && !text.includes('"') ? text : JSON.stringify(text);
}
