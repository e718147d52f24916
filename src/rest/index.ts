export {
  createRestHandler,
  type RestHandler,
  type RestHandlerOptions,
} from "./create-rest-handler.js";
export { createRestTransport, type RestTransportOptions } from "./create-rest-transport.js";
export { type DiscoveryOptions, discoveryPath } from "./discovery-document.js";
export type { HttpRuleOptions } from "./http-rules.js";
export {
  createNodeListener,
  type NodeListener,
  type NodeListenerOptions,
  type NodeRequest,
  type NodeResponse,
} from "./node-listener.js";
export { type OperationsHttpRulesOptions, operationsHttpRules } from "./operations-http-rules.js";
export { restCors } from "./rest-cors.js";
export type { RestAnswer, RestRequest } from "./rest-request.js";
