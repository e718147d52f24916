export { createTracingObserver, type TracingOptions } from "./tracing-observer.js";
