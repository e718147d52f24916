import { type Attributes, type MeterProvider, metrics } from "@opentelemetry/api";

/** The instruments of one meter. Their names start with `connect_longrunning.`. */
export interface Instruments {
  /**
   * Creates a counter of events. With an increment of 0 a series exists before its first event,
   * so that `rate()` includes that event.
   */
  counter(
    name: string,
    unit: string,
    description: string,
  ): (attributes?: Attributes, increment?: 0 | 1) => void;
  /** Creates a histogram of durations. Values are passed in milliseconds and exported in seconds. */
  durations(
    name: string,
    scale: DurationScale,
    description: string,
  ): (durationMs: number, attributes?: Attributes) => void;
  /** Creates an instrument of a current amount. Values are absolute, not differences. */
  level(name: string, unit: string, description: string): (now: number) => void;
}

/** The order of magnitude of a histogram's durations, because OpenTelemetry's default buckets are made for milliseconds. */
export type DurationScale = keyof typeof bucketBounds;

/** Where the buckets of histograms end, in seconds. */
const bucketBounds = {
  /** Some work: milliseconds to days. */
  work: [0.01, 0.1, 1, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 7 * 86_400],
  /** Bounds for wakes of waits and outages of the listener: those that OpenTelemetry advises for requests, and smaller bounds. */
  news: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
};

/** @param meterProvider Creates the meter. Default: the provider registered with `@opentelemetry/api`, if any. */
export function createInstruments(meterProvider: MeterProvider | undefined): Instruments {
  const meter = meterOf(meterProvider);
  return {
    counter(name, unit, description) {
      const instrument = meter.createCounter(`${prefix}${name}`, { unit, description });
      return (attributes, increment = 1) => instrument.add(increment, attributes);
    },
    durations(name, scale, description) {
      const instrument = meter.createHistogram(`${prefix}${name}`, {
        unit: "s",
        description,
        advice: { explicitBucketBoundaries: bucketBounds[scale] },
      });
      return (durationMs, attributes) => instrument.record(durationMs / 1000, attributes);
    },
    level(name, unit, description) {
      const instrument = meter.createUpDownCounter(`${prefix}${name}`, { unit, description });
      let last = 0;
      // The series exists before the first change.
      instrument.add(0);
      return (now) => {
        instrument.add(now - last);
        last = now;
      };
    },
  };
}

export function meterOf(meterProvider: MeterProvider | undefined) {
  return (meterProvider ?? metrics).getMeter("connect-longrunning");
}

/** The prefix of the names of metrics and of their attributes. */
export const prefix = "connect_longrunning.";

/** Returns the attribute for the method that started an operation. */
export function ofMethod(method: string): Attributes {
  return { [`${prefix}method`]: method };
}
