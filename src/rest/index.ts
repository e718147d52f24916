export { createRestHandler, type RestHandlerOptions } from "./create-rest-handler.js";
export { createRestTransport, type RestTransportOptions } from "./create-rest-transport.js";
export { type DiscoveryOptions, discoveryPath } from "./discovery-document.js";
export type { HttpRuleOptions } from "./http-rules.js";
export { type OperationsHttpRulesOptions, operationsHttpRules } from "./operations-http-rules.js";
export { restCors } from "./rest-cors.js";
