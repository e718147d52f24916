import { once } from "node:events";
import { createServer } from "node:http";
import type { Clock } from "../internal/clock.js";
import type { OperationsObserver } from "../server/index.js";
import type { PostgresObserver } from "../store/postgres/index.js";
import type { CountingStore } from "../store/sqlite/index.js";
import { cannotListen, metricsNotLoaded } from "./errors.js";

/** The metrics of `longrunning serve` for Prometheus. */
export interface MetricsEndpoint {
  /** These observers feed the metrics. */
  readonly observer: OperationsObserver;
  readonly postgresObserver: PostgresObserver;
  /** Adds the counts of this store to the metrics. */
  show(store: CountingStore): void;
  /**
   * Starts to listen.
   *
   * @returns The URL of the metrics.
   * @throws CommanderError if the address is not available.
   */
  listen(host: string, port: number): Promise<string>;
  close(): Promise<void>;
}

/** The histograms of durations. */
const durations = ["queue", "run", "operation", "wake", "listener.outage"].map(
  (name) => `${name}.duration`,
);

/** The path of the metrics. */
const path = "/metrics";

/** Limits for the few scrapers: the most connections, and the longest time of a request. */
const maxConnections = 64;
const limits = { headersTimeout: 5000, requestTimeout: 5000, connectionsCheckingInterval: 1000 };

/**
 * Loads OpenTelemetry and starts to collect.
 *
 * @throws CommanderError that says which packages to install.
 */
export async function createMetricsEndpoint(clock: Clock): Promise<MetricsEndpoint> {
  const { telemetry, prometheus, sdk } = await loadOpenTelemetry();
  const exporter = new prometheus.PrometheusExporter({
    // The metrics server below reports its port and the moment at which it listens.
    preventServerStart: true,
    // Prometheus adds the job and the instance itself.
    withoutTargetInfo: true,
  });
  const meterProvider = new sdk.MeterProvider({
    readers: [exporter],
    // The names in Prometheus contain the unit, which the exporter does not add.
    views: [...durations, "operations.oldest_queued.age"].map((name) => ({
      instrumentName: `connect_longrunning.${name}`,
      name: `connect_longrunning.${name}.seconds`,
    })),
  });
  const stops: (() => void)[] = [];
  const server = createServer(limits, (request, response) => {
    const isAsked = request.method === "GET" && request.url?.split("?")[0] === path;
    if (isAsked) exporter.getMetricsRequestHandler(request, response);
    else response.writeHead(404, { "content-type": "text/plain" }).end(`metrics are at ${path}\n`);
  });
  server.maxConnections = maxConnections;
  return {
    observer: telemetry.createServerObserver({ meterProvider }),
    postgresObserver: telemetry.createPostgresObserver({ meterProvider }),
    show(store) {
      stops.push(telemetry.observeCounts(store, { meterProvider, clock }));
    },
    async listen(host, port) {
      try {
        server.listen({ host, port });
        await once(server, "listening");
      } catch (cause) {
        throw cannotListen("--metrics-port", host, port, cause);
      }
      const address = server.address();
      const actual = typeof address === "object" && address !== null ? address.port : port;
      return `http://${host.includes(":") ? `[${host}]` : host}:${actual}${path}`;
    },
    async close() {
      for (const stop of stops) stop();
      if (server.listening) {
        const closed = once(server, "close");
        server.close();
        server.closeAllConnections();
        await closed;
      }
      await meterProvider.shutdown();
    },
  };
}

async function loadOpenTelemetry() {
  try {
    const [telemetry, prometheus, sdk] = await Promise.all([
      import("../opentelemetry/index.js"),
      import("@opentelemetry/exporter-prometheus"),
      import("@opentelemetry/sdk-metrics"),
    ]);
    return { telemetry, prometheus, sdk };
  } catch (cause) {
    throw metricsNotLoaded(cause);
  }
}
