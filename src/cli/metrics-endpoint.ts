import { once } from "node:events";
import { createServer } from "node:http";
import type { Clock } from "../internal/clock.js";
import type { OperationsObserver } from "../server/index.js";
import type { PostgresObserver } from "../store/postgres/index.js";
import type { CountingStore } from "../store/sqlite/index.js";
import { cannotListen, metricsNotLoaded } from "./errors.js";

/** What `longrunning serve` shows of itself to Prometheus. */
export interface MetricsEndpoint {
  /** What is heard through these is shown. */
  readonly observer: OperationsObserver;
  readonly postgresObserver: PostgresObserver;
  /** Show how much there is in this store, too. */
  show(store: CountingStore): void;
  /**
   * Answer from when this resolves.
   *
   * @returns Where.
   * @throws CommanderError for an address that cannot be had.
   */
  listen(host: string, port: number): Promise<string>;
  close(): Promise<void>;
}

/** The one path that is answered. */
const path = "/metrics";

/** Those who scrape are few: how many connections there are, and how long a request may take to come. */
const maxConnections = 64;
const limits = { headersTimeout: 5000, requestTimeout: 5000, connectionsCheckingInterval: 1000 };

/**
 * Load OpenTelemetry, and collect from now on.
 *
 * @throws CommanderError that says which packages to install.
 */
export async function createMetricsEndpoint(clock: Clock): Promise<MetricsEndpoint> {
  const { telemetry, prometheus, sdk } = await loadOpenTelemetry();
  const exporter = new prometheus.PrometheusExporter({
    // The server is our own, which says when it listens and on which port.
    preventServerStart: true,
    // Prometheus has names of its own for jobs and instances.
    withoutTargetInfo: true,
  });
  const meterProvider = new sdk.MeterProvider({ readers: [exporter] });
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
