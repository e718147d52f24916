import {
  createRegistry,
  type DescFile,
  type FileRegistry,
  type Registry,
} from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type ServiceImpl } from "@connectrpc/connect";
import { createConsole } from "../console/index.js";
import { createServer, type Server, type ServerOptions } from "../node/index.js";
import { Operations } from "../protos.js";
import {
  createRestHandler,
  type OperationsHttpRulesOptions,
  operationsHttpRules,
} from "../rest/index.js";
import { cancelledByRequest } from "../server/errors.js";
import {
  type Authorize,
  createOperations,
  type OperationsObserver,
  type OperationsServer,
} from "../server/index.js";
import type { OpenStore } from "./open-store.js";

/** A service whose methods start operations with work, in addition to its methods without work. */
export interface WorkingService {
  /** Types that JSON contains. */
  readonly types: Registry;
  /** Files for reflection. */
  readonly files: readonly DescFile[];
  readonly authorize: Authorize;
  route(router: ConnectRouter, operations: OperationsServer): void;
}

/** The path of the console. */
export const consolePath = "/console";

/** Options of `createEmulator`. */
export interface EmulatorOptions {
  /** Owned by the server, whose `close` closes it. */
  readonly opened: OpenStore;
  /** If undefined, page tokens are valid in this process alone. */
  readonly pageTokenKey: Uint8Array | undefined;
  /** Types that JSON and reflection contain in addition to google.rpc. Default: none. */
  readonly protoSet: FileRegistry | undefined;
  /** Default: none, so that no operation has work. */
  readonly working: WorkingService | undefined;
  readonly rest: OperationsHttpRulesOptions;
  /** Whether the server has a page at `consolePath`. */
  readonly hasConsole: boolean;
  /** The longest time of one WaitOperation call, in milliseconds. */
  readonly maxWaitMs: number;
  /** If undefined, the server speaks plaintext. */
  readonly tls: ServerOptions["tls"];
  /** Default: only loopback names if the server listens on a loopback address, else any name. */
  readonly allowedHosts: ServerOptions["allowedHosts"];
  /** Receives the events of the operations. Default: none. */
  readonly observer: OperationsObserver | undefined;
  /** Called with an error of the server, as one line. */
  readonly log: (line: string) => void;
}

/**
 * Makes a server of google.longrunning.Operations. Operations without work stay running until a
 * client cancels them, and are CANCELLED then. The server speaks gRPC, gRPC-Web,
 * Connect and REST on one port.
 *
 * @throws RangeError for a REST version or parent that is not valid in an HTTP rule; Node's error
 *   for a certificate that TLS refuses.
 */
export function createEmulator(options: EmulatorOptions): Server {
  const { opened, pageTokenKey, protoSet, working, tls, observer } = options;
  const { store, dispatcher, signals } = opened;
  const log = (event: { readonly kind: string; readonly cause?: unknown }) => {
    const { kind, cause } = event;
    // Any client can close its connection at any time, so these events are not logged.
    if (kind === "connection-failed") return;
    options.log(cause instanceof Error ? `${kind}: ${cause.message}` : kind);
  };
  const operations = createOperations({
    store,
    dispatcher,
    signals,
    pageTokenKey,
    maxWaitMs: options.maxWaitMs,
    authorize: working?.authorize,
    observer,
    log,
  });
  const service = withCancellation(operations);
  const routes = (router: ConnectRouter) => {
    router.service(Operations, service);
    working?.route(router, operations);
  };
  const files = [...(protoSet?.files ?? []), ...(working?.files ?? [])];
  const registries = [protoSet, working?.types].filter((one) => one !== undefined);
  const registry = registries.length === 0 ? undefined : createRegistry(...registries);
  const jsonOptions = registry === undefined ? {} : { registry };
  const restOptions = {
    rules: operationsHttpRules(options.rest),
    registry,
    onInternalError: (cause: unknown) => log({ kind: "handler-failed", cause }),
  };
  // A wildcard lists every parent of the pattern (AIP-159).
  const parent = options.rest.parent?.replace(/\*+/g, "-") ?? "";
  const consoleOptions = { path: consolePath, parents: [parent], registry };
  return createServer({
    routes,
    jsonOptions,
    reflection: { files },
    operations,
    tls,
    allowedHosts: options.allowedHosts,
    log,
    handlers: (router) => [
      createRestHandler(router, restOptions),
      ...(options.hasConsole ? [createConsole(router, consoleOptions)] : []),
    ],
  });
}

/** Operations without work cannot end themselves, so a cancellation ends them at once. */
function withCancellation(operations: OperationsServer): ServiceImpl<typeof Operations> {
  return {
    ...operations.service,
    async cancelOperation(request, context) {
      const answer = await operations.service.cancelOperation(request, context);
      try {
        await operations.fail(request.name, cancelledByRequest());
      } catch (error) {
        // Either the operation is done, or its work decides whether it ends.
        if (ConnectError.from(error).code !== Code.FailedPrecondition) throw error;
      }
      return answer;
    },
  };
}
