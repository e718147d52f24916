import type { DescFile, DescService } from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  type ConnectRouterOptions,
  createConnectRouter,
} from "@connectrpc/connect";
import type { UniversalHandler, UniversalHandlerFn } from "../direct/connect-protocol.js";
import { recordingRouter } from "../direct/recording-router.js";
import { createHealth, type Health, type HealthOptions } from "../health/create-health.js";
import {
  GetOperationRequestSchema,
  Health as HealthService,
  OperationSchema,
  Operations,
  ServerReflection,
} from "../protos.js";
import { createReflection, type ReflectionOptions } from "../reflection/create-reflection.js";
import type { Handler } from "./handler.js";
import { createJsonPayloads, type JsonPayloads } from "./json-payloads.js";
import { createMalformedRequests } from "./malformed-requests.js";
import { createProbeHandler, probePaths } from "./probes.js";

/** The RPC that orchestrators and load balancers call. */
const healthCheckPath = `/${HealthService.typeName}/${HealthService.method.check.name}`;

/** The default limit for the bytes of one message, as in most gRPC servers. */
export const defaultReadMaxBytes = 4 * 1024 * 1024;

/**
 * The services and handlers of a server. Connect's own options apply to all routes, with two
 * differences: `readMaxBytes`, the bytes of one message, is 4 MiB (4,194,304) by default, as in
 * most gRPC servers; and `jsonOptions.registry` is added to the types of the services, their
 * imports, google.rpc's details and the well-known types. A payload of any other type is written
 * in JSON as its URL and its bytes, `{"@type": "…", "value": "base64"}`.
 */
export interface RouteOptions extends Omit<ConnectRouterOptions, "shutdownSignal"> {
  /** Registers the services: `(router) => router.service(Operations, operations.service)`. */
  routes: (router: ConnectRouter) => void;
  /**
   * Makes the handlers of all other paths, once the router has all its services: `(router) =>
   * [createRestHandler(router)]`. A request whose path is not an RPC's goes to the first handler
   * that responds. Default: none; such a request gets 404, or UNIMPLEMENTED in gRPC.
   */
  handlers?: ((router: ConnectRouter) => readonly Handler[]) | undefined;
  /**
   * The health service (grpc.health.v1), in which all services of the routes are SERVING until
   * `health.set` or `health.drain` is called or its `check` fails, and the probes `/livez` and
   * `/readyz`, which come after the handlers; `false` for none. Default: as `createHealth` makes it.
   */
  health?: HealthOptions | false | undefined;
  /**
   * The reflection service (grpc.reflection.v1), which shows all services to clients that have
   * no .proto files; `false` for none. Default: with only the files of the services.
   */
  reflection?: ReflectionOptions | false | undefined;
  /**
   * Calls the implementations of unary methods without Connect's handlers, which takes a fraction
   * of the time; `false` has Connect's handlers do it. docs/reference/fast-path.md lists the differences.
   * Default: true.
   */
  fastPath?: boolean | undefined;
}

/** All methods and handlers that a server serves. */
export interface Routes {
  /** Connect's handlers, one a method. */
  readonly rpcs: ConnectRouter["handlers"];
  /** Returns the function that answers calls of an RPC by Connect's handler. */
  answering(rpc: UniversalHandler): UniversalHandlerFn;
  readonly handlers: readonly Handler[];
  /** Paths of health checks, which a server answers for any host: orchestrators call it by its address. */
  readonly healthPaths: ReadonlySet<string>;
  /** The health service; undefined if the options say `false`. */
  readonly health: Health | undefined;
  readonly payloads: JsonPayloads;
}

/**
 * Builds the routes: those of the options, health, and reflection of all of them. A health or
 * reflection service among the options' routes replaces the default service of its kind.
 *
 * @throws RangeError if an option is out of its bounds.
 */
export function createRoutes(options: RouteOptions, shutdownSignal?: AbortSignal): Routes {
  const readMaxBytes = options.readMaxBytes ?? defaultReadMaxBytes;
  const payloads = createJsonPayloads(() => filesOf(plain), options.jsonOptions);
  const { jsonOptions } = payloads;
  const routerOptions = {
    ...options,
    readMaxBytes,
    jsonOptions,
    ...(shutdownSignal && { shutdownSignal }),
  };
  // The fast path makes messages writable itself: an interceptor would cost each of its calls.
  const malformed = createMalformedRequests(
    () => createConnectRouter({ ...routerOptions, interceptors: [] }),
    options.acceptCompression ?? [],
  );
  const interceptors = [
    malformed.interceptor,
    payloads.interceptor,
    ...(options.interceptors ?? []),
  ];
  const plain: ConnectRouter = createConnectRouter({ ...routerOptions, interceptors });
  const router = options.fastPath === false ? plain : recordingRouter(plain, routerOptions);
  options.routes(router);
  assertFollowable(router);
  const health = options.health === false ? undefined : createHealth(options.health);
  for (const { typeName } of servicesOf(router)) health?.set(typeName, "SERVING");
  if (health !== undefined && !serves(router, HealthService)) {
    router.service(HealthService, health.service);
  }
  const { reflection = {} } = options;
  if (reflection !== false && !serves(router, ServerReflection)) {
    const services = [...servicesOf(router), ServerReflection];
    router.service(ServerReflection, createReflection(services, reflection));
  }
  return {
    rpcs: router.handlers,
    answering: malformed.answering,
    handlers: [
      ...(options.handlers?.(router) ?? []),
      ...(health === undefined ? [] : [createProbeHandler(health)]),
    ],
    healthPaths: new Set(health === undefined ? [] : [...probePaths, healthCheckPath]),
    health,
    payloads,
  };
}

/** @throws TypeError if a method starts operations that no method can get. */
function assertFollowable({ handlers }: ConnectRouter): void {
  const starts = handlers.find(
    ({ method }) =>
      method.output.typeName === OperationSchema.typeName &&
      method.parent.typeName !== Operations.typeName,
  );
  const isFollowed = handlers.some(
    ({ method }) => method.input.typeName === GetOperationRequestSchema.typeName,
  );
  if (starts === undefined || isFollowed) return;
  const { method } = starts;
  throw new TypeError(
    `${method.parent.typeName}.${method.name} returns google.longrunning.Operation, and no ` +
      "Operations service is routed: add `router.service(Operations, operations.service)`",
  );
}

function filesOf(router: ConnectRouter): Set<DescFile> {
  return new Set(router.handlers.map(({ method }) => method.parent.file));
}

function servicesOf(router: ConnectRouter): Set<DescService> {
  return new Set(router.handlers.map(({ service }) => service));
}

function serves(router: ConnectRouter, { typeName }: DescService): boolean {
  return router.handlers.some(({ service }) => service.typeName === typeName);
}
