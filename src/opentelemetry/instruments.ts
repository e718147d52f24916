import { type Attributes, type MeterProvider, metrics } from "@opentelemetry/api";

/** What metrics are written with: all of one meter, their names below `connect_longrunning.`. */
export interface Instruments {
  /**
   * Of how often something happened. With an increment of 0 a series exists before its first event,
   * so that `rate()` sees that one.
   */
  counter(
    name: string,
    unit: string,
    description: string,
  ): (attributes?: Attributes, increment?: 0 | 1) => void;
  /** Of durations, which are given in milliseconds and shown in seconds. */
  durations(
    name: string,
    scale: DurationScale,
    description: string,
  ): (durationMs: number, attributes?: Attributes) => void;
  /** Of how much there is, which is given as a whole and not as a difference. */
  level(name: string, unit: string, description: string): (now: number) => void;
}

/** How long what is measured takes: OpenTelemetry's own buckets are made for milliseconds. */
export type DurationScale = keyof typeof bucketBounds;

/** Where the buckets of histograms end, in seconds. */
const bucketBounds = {
  /** Some work: milliseconds to days. */
  work: [0.01, 0.1, 1, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 7 * 86_400],
  /** News of something: the bounds that OpenTelemetry advises for a request, and below. */
  news: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
};

/** @param meterProvider Undefined: the one that is registered with `@opentelemetry/api`, if any. */
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

/** What the names of metrics and of their attributes begin with. */
export const prefix = "connect_longrunning.";

/** The attribute that says by which method an operation was started. */
export function ofMethod(method: string): Attributes {
  return { [`${prefix}method`]: method };
}
