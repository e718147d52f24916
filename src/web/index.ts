export type { CorsOptions } from "./cors.js";
export { createWebHandler, type WebHandler, type WebHandlerOptions } from "./create-web-handler.js";
export type { Handler, HandlerFailure, HandlerRequest, HandlerResponse } from "./handler.js";
export { type FetchHandlerOptions, handlerFromFetch } from "./handler-from-fetch.js";
export { createProbeHandler } from "./probes.js";
export type { RouteOptions } from "./routes.js";
