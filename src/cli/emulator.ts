import type { FileRegistry } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type ServiceImpl } from "@connectrpc/connect";
import { createServer, type Server, type ServerOptions } from "../node/index.js";
import { Operations } from "../protos.js";
import {
  createRestHandler,
  type OperationsHttpRulesOptions,
  operationsHttpRules,
} from "../rest/index.js";
import { cancelledByRequest } from "../server/errors.js";
import {
  createOperations,
  type OperationsObserver,
  type OperationsServer,
} from "../server/index.js";
import type { OpenStore } from "./open-store.js";

/** What an emulator serves, and how. */
export interface EmulatorOptions {
  /** The server's own from then on: its `close` closes it. */
  readonly opened: OpenStore;
  /** Undefined: page tokens hold for this process alone. */
  readonly pageTokenKey: Uint8Array | undefined;
  /** Types that JSON and reflection know besides those of google.rpc. Undefined: none. */
  readonly protoSet: FileRegistry | undefined;
  readonly rest: OperationsHttpRulesOptions;
  /** Undefined: plaintext. */
  readonly tls: ServerOptions["tls"];
  /** Undefined: only loopback names if it listens on a loopback address, any name otherwise. */
  readonly allowedHosts: ServerOptions["allowedHosts"];
  /** Undefined: nobody hears of what it does. */
  readonly observer: OperationsObserver | undefined;
  /** Hears, on one line, of what went wrong on this side. */
  readonly log: (line: string) => void;
}

/**
 * Make a server of google.longrunning.Operations whose operations have no work here: what is
 * running stays so until somebody cancels it, and is CANCELLED then. It speaks gRPC, gRPC-Web,
 * Connect and REST on one port.
 *
 * @throws RangeError for a REST version or parent that makes no HTTP rule; what Node throws for
 *   a certificate that TLS does not take.
 */
export function createEmulator(options: EmulatorOptions): Server {
  const { opened, pageTokenKey, protoSet, tls, observer } = options;
  const { store, dispatcher, signals } = opened;
  const log = (event: { readonly kind: string; readonly cause?: unknown }) => {
    const { kind, cause } = event;
    // Any client can break a connection off, as often as it likes.
    if (kind === "connection-failed") return;
    options.log(cause instanceof Error ? `${kind}: ${cause.message}` : kind);
  };
  const operations = createOperations({
    store,
    dispatcher,
    signals,
    pageTokenKey,
    observer,
    log,
  });
  const service = withCancellation(operations);
  const routes = (router: ConnectRouter) => void router.service(Operations, service);
  const files = protoSet === undefined ? [] : [...protoSet.files];
  const jsonOptions = protoSet === undefined ? {} : { registry: protoSet };
  const restOptions = {
    rules: operationsHttpRules(options.rest),
    registry: protoSet,
    onInternalError: (cause: unknown) => log({ kind: "handler-failed", cause }),
  };
  return createServer({
    routes,
    jsonOptions,
    reflection: { files },
    operations,
    tls,
    allowedHosts: options.allowedHosts,
    log,
    handlers: (router) => [createRestHandler(router, restOptions)],
  });
}

/** Nobody works on these operations, so whoever cancels one ends it. */
function withCancellation(operations: OperationsServer): ServiceImpl<typeof Operations> {
  return {
    ...operations.service,
    async cancelOperation(request, context) {
      const answer = await operations.service.cancelOperation(request, context);
      try {
        await operations.fail(request.name, cancelledByRequest());
      } catch (error) {
        // It was done already, which a cancellation does not change.
        if (ConnectError.from(error).code !== Code.FailedPrecondition) throw error;
      }
      return answer;
    },
  };
}
