import type { DescService } from "@bufbuild/protobuf";
import { type ConnectRouter, createConnectRouter } from "@connectrpc/connect";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import { recordingRouter } from "../direct/recording-router.js";
import type { Health } from "../health/create-health.js";
import { Health as HealthService, ServerReflection } from "../protos.js";
import { createReflection } from "../reflection/create-reflection.js";
import type { RestFace } from "./rest-face-handler.js";
import type { ServerOptions } from "./server-options.js";

const defaultReadMaxBytes = 4 * 1024 * 1024;

/** All methods that a server serves. */
export interface Routes {
  readonly handlers: ConnectRouter["handlers"];
  readonly readMaxBytes: number;
  /** Undefined where there is none. */
  readonly rest: RestFace | undefined;
}

/**
 * Build the routes: those of the options, health, and reflection of all of them. A health or
 * reflection service among the options' routes takes the place of ours.
 */
export function createRoutes(
  options: ServerOptions,
  health: Health | undefined,
  shutdownSignal: AbortSignal,
): Routes {
  const readMaxBytes = options.readMaxBytes ?? defaultReadMaxBytes;
  const acceptCompression = options.acceptCompression ?? [compressionGzip, compressionBrotli];
  const routerOptions = { ...options, readMaxBytes, acceptCompression, shutdownSignal };
  const plain = createConnectRouter(routerOptions);
  const router = options.leanGrpc === false ? plain : recordingRouter(plain, routerOptions);
  options.routes(router);
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
    handlers: router.handlers,
    readMaxBytes,
    rest: options.rest?.(router),
  };
}

function servicesOf(router: ConnectRouter): Set<DescService> {
  return new Set(router.handlers.map(({ service }) => service));
}

function serves(router: ConnectRouter, { typeName }: DescService): boolean {
  return router.handlers.some(({ service }) => service.typeName === typeName);
}
