export { createServer } from "./create-server.js";
export { createGrpcTransport } from "./grpc-transport.js";
export {
  createNodeListener,
  type NodeListener,
  type NodeListenerOptions,
} from "./node-listener.js";
export type { RequestRecord, ServerEvent } from "./server-events.js";
export type { ServerLimits } from "./server-limits.js";
export type {
  Drainable,
  ListenOptions,
  Server,
  ServerAddress,
  ServerOptions,
} from "./server-options.js";
