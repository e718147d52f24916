export { createServerObserver, type TelemetryOptions } from "./server-observer.js";
export { createTracingObserver, type TracingOptions } from "./tracing-observer.js";
