import type { DescMessage, Message } from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  createMethodImplSpec,
  createServiceImplSpec,
  type MethodImplSpec,
} from "@connectrpc/connect";
import type { UniversalHandlerOptions } from "@connectrpc/connect/protocol";
import { type WireAnswers, wireAnswersOf } from "../internal/wire-message.js";

export type UnaryImplSpec = Extract<MethodImplSpec<DescMessage, DescMessage>, { kind: "unary" }>;

/** A unary method that is served by gRPC, besides other protocols. */
export interface UnaryRoute {
  readonly spec: UnaryImplSpec;
  /** The answers in their wire form, where the implementation has that. */
  readonly wireAnswers: WireAnswers<Message> | undefined;
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
    routeOf: (handler: ConnectRouter["handlers"][number]) => {
      spec: MethodImplSpec | undefined;
      implementation: unknown;
    },
    options: Partial<UniversalHandlerOptions> | undefined,
  ) => {
    for (const handler of router.handlers.slice(known)) {
      const { spec, implementation } = routeOf(handler);
      const isLean = spec?.kind === "unary" && handler.protocolNames.includes("grpc");
      const wireAnswers = wireAnswersOf(implementation);
      if (isLean) routes.set(handler.requestPath, { spec, wireAnswers, options });
      else routes.delete(handler.requestPath);
    }
  };
  const recording: ConnectRouter = {
    handlers: router.handlers,
    service(service, implementation, options) {
      const known = router.handlers.length;
      router.service(service, implementation, options);
      const { methods } = createServiceImplSpec(service, implementation);
      // The spec has it bound to its service: another function.
      const given: Partial<Record<string, unknown>> = implementation;
      record(
        known,
        ({ method: { localName } }) => ({
          spec: methods[localName],
          implementation: given[localName],
        }),
        options,
      );
      return recording;
    },
    rpc(method, implementation, options) {
      const known = router.handlers.length;
      router.rpc(method, implementation, options);
      const spec = createMethodImplSpec(method, implementation);
      record(known, () => ({ spec, implementation }), options);
      return recording;
    },
  };
  return recording;
}
