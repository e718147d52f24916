import type { DescMessage } from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  createMethodImplSpec,
  createServiceImplSpec,
  type MethodImplSpec,
} from "@connectrpc/connect";
import type { UniversalHandlerOptions } from "@connectrpc/connect/protocol";

export type UnaryImplSpec = Extract<MethodImplSpec<DescMessage, DescMessage>, { kind: "unary" }>;

/** A unary method that is served by gRPC, besides other protocols. */
export interface UnaryRoute {
  readonly spec: UnaryImplSpec;
  /** The route's own options, which take the place of the router's; undefined for none. */
  readonly options: Partial<UniversalHandlerOptions> | undefined;
}

/**
 * A router that notes what is registered. Connect's handlers do not tell their implementation,
 * and a server that calls it without them needs that.
 *
 * @param routes gets the unary routes, by their path; the last of a path has it.
 */
export function recordingRouter(
  router: ConnectRouter,
  routes: Map<string, UnaryRoute>,
): ConnectRouter {
  const record = (
    known: number,
    specOf: (handler: ConnectRouter["handlers"][number]) => MethodImplSpec | undefined,
    options: Partial<UniversalHandlerOptions> | undefined,
  ) => {
    for (const handler of router.handlers.slice(known)) {
      const spec = specOf(handler);
      const isLean = spec?.kind === "unary" && handler.protocolNames.includes("grpc");
      if (isLean) routes.set(handler.requestPath, { spec, options });
      else routes.delete(handler.requestPath);
    }
  };
  const recording: ConnectRouter = {
    handlers: router.handlers,
    service(service, implementation, options) {
      const known = router.handlers.length;
      router.service(service, implementation, options);
      const { methods } = createServiceImplSpec(service, implementation);
      record(known, ({ method }) => methods[method.localName], options);
      return recording;
    },
    rpc(method, implementation, options) {
      const known = router.handlers.length;
      router.rpc(method, implementation, options);
      const spec: MethodImplSpec = createMethodImplSpec(method, implementation);
      record(known, () => spec, options);
      return recording;
    },
  };
  return recording;
}
