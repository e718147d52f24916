export type { CorsOptions } from "./cors.js";
export { createServer } from "./create-server.js";
export type { FetchHandler } from "./fetch-handler.js";
export { createGrpcTransport } from "./grpc-transport.js";
export type { RestFace } from "./rest-face-handler.js";
export type { RequestRecord, ServerEvent } from "./server-events.js";
export type { ServerLimits } from "./server-limits.js";
export type {
  Drainable,
  ListenOptions,
  Server,
  ServerAddress,
  ServerOptions,
} from "./server-options.js";
