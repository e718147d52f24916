import type { Attributes } from "@opentelemetry/api";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";

/** Metrics of a separate provider, by the part of the name after `connect_longrunning.`. */
export function createCollectedMetrics() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter });
  const meterProvider = new MeterProvider({ readers: [reader] });
  const metricOf = async (name: string) => {
    const { resourceMetrics } = await reader.collect();
    return resourceMetrics.scopeMetrics
      .flatMap(({ metrics }) => metrics)
      .find(({ descriptor }) => descriptor.name === `connect_longrunning.${name}`);
  };
  return {
    meterProvider,
    /** Attributes, and the value or the sum of the histogram; undefined without any. */
    async points(name: string): Promise<[Attributes, number | undefined][] | undefined> {
      return (await metricOf(name))?.dataPoints.map(({ attributes, value }) => [
        attributes,
        typeof value === "number" ? value : value.sum,
      ]);
    },
    /** Where the buckets of a histogram end. */
    async bounds(name: string): Promise<number[]> {
      const [point] = (await metricOf(name))?.dataPoints ?? [];
      const value = point?.value;
      return typeof value === "object" && "buckets" in value ? value.buckets.boundaries : [];
    },
  };
}
