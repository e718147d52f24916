import { createRouterTransport, type ServiceImpl, type Transport } from "@connectrpc/connect";
import { Operations } from "../../src/protos.js";

/** A transport to a server of Operations that has these methods and no other. */
export function operationsTransport(service: Partial<ServiceImpl<typeof Operations>>): Transport {
  return createRouterTransport((router) => {
    router.service(Operations, service);
  });
}
