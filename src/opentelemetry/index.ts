export { type ObserveCountsOptions, observeCounts } from "./observe-counts.js";
export { createPostgresObserver } from "./postgres-observer.js";
export { createServerObserver, type TelemetryOptions } from "./server-observer.js";
export { createTracingObserver, type TracingOptions } from "./tracing-observer.js";
