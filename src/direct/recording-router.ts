import type { DescMessage, Message } from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  type ConnectRouterOptions,
  createMethodImplSpec,
  createServiceImplSpec,
  type MethodImplSpec,
} from "@connectrpc/connect";
import { type EncodedHandler, encodedHandlerOf } from "../internal/wire-message.js";
import {
  type UniversalHandler,
  type UniversalHandlerOptions,
  validateUniversalHandlerOptions,
} from "./connect-protocol.js";

export type UnaryImplSpec = Extract<MethodImplSpec<DescMessage, DescMessage>, { kind: "unary" }>;

/** A unary method of a router, with its implementation. */
export interface UnaryRoute {
  readonly spec: UnaryImplSpec;
  /** The encoded responses. Undefined if the method has no encoded responses or an interceptor needs the message. */
  readonly encoded: EncodedHandler<Message> | undefined;
  /** The router's, with the route's own before them. */
  readonly options: UniversalHandlerOptions;
}

/** The routes of handlers that a recording router created. */
const routes = new WeakMap<UniversalHandler, UnaryRoute>();

/** Returns the route of a handler. Returns undefined if it streams or a recording router did not create it. */
export function unaryRouteOf(handler: UniversalHandler): UnaryRoute | undefined {
  return routes.get(handler);
}

/**
 * Makes a router that records its registrations. Connect's handlers do not expose their
 * implementation, which a server needs to call a method without them. `unaryRouteOf` returns it.
 *
 * @param routerOptions those that the router was made with.
 */
export function recordingRouter(
  router: ConnectRouter,
  routerOptions: ConnectRouterOptions,
): ConnectRouter {
  const record = (
    known: number,
    routeOf: (handler: UniversalHandler) => {
      spec: MethodImplSpec | undefined;
      implementation: unknown;
    },
    own: Partial<UniversalHandlerOptions> | undefined,
  ) => {
    // Connect's router merges the options in this order.
    const options = validateUniversalHandlerOptions({
      ...validateUniversalHandlerOptions(routerOptions),
      ...own,
    });
    for (const handler of router.handlers.slice(known)) {
      const { spec, implementation } = routeOf(handler);
      if (spec?.kind !== "unary") continue;
      const encoded =
        options.interceptors.length === 0 ? encodedHandlerOf(implementation) : undefined;
      routes.set(handler, { spec, options, encoded });
    }
  };
  const recording: ConnectRouter = {
    handlers: router.handlers,
    service(service, implementation, options) {
      const known = router.handlers.length;
      router.service(service, implementation, options);
      const { methods } = createServiceImplSpec(service, implementation);
      // `createServiceImplSpec` binds the function to its service, so the spec's function is not
      // the function that was registered.
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
