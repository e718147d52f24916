import type { FileRegistry } from "@bufbuild/protobuf";
import {
  ConnectError,
  type ConnectRouter,
  createClient,
  createConnectRouter,
  type HandlerContext,
  type Transport,
} from "@connectrpc/connect";
import { Operations, ServerReflection } from "../protos.js";
import { type Connection, openConnection, parentPatternOf } from "./connection.js";
import type { ServerArguments } from "./server-command.js";

/** A router in this process whose methods call another server. */
export interface ForwardingRouter {
  readonly router: Pick<ConnectRouter, "handlers">;
  /** Closes the connections and aborts their calls. */
  close(): void;
}

/** Most connections: REST has one for each number of segments in the names. */
const maxConnections = 16;

/** The header that the page's user can give; it replaces the one of the command line. */
const authorization = "authorization";

/** The headers of an error that the page reads. The others are about the server's own response. */
const forwardedMetadata = ["retry-after"];

/**
 * Creates a router with the five methods of a server, and its reflection if the protocol streams.
 *
 * @throws CommanderError for certificates that cannot be read.
 */
export async function createForwardingRouter(
  options: ServerArguments,
  protoSet: FileRegistry | undefined,
): Promise<ForwardingRouter> {
  const isAuthorization = ([name]: readonly [string, string]) =>
    name.toLowerCase() === authorization;
  const [, ownAuthorization] = options.header.find(isAuthorization) ?? [];
  const open = (name: string) =>
    openConnection(
      {
        ...options,
        header: options.header.filter((field) => !isAuthorization(field)),
        ca: options.ca,
        headerCommand: options.headerCommand,
        insecure: options.insecure === true,
      },
      name,
      protoSet,
    );
  const connections = new Map<string, Promise<Connection>>();
  const transportOf = async (name: string): Promise<Transport> => {
    // The transport of REST depends on the parent's number of segments. The transports of the other
    // protocols do not.
    const key = options.protocol === "rest" ? parentPatternOf(name) : "";
    const known = connections.get(key);
    if (known !== undefined) return (await known).transport;
    const [oldest] = connections;
    if (connections.size >= maxConnections && oldest !== undefined) {
      connections.delete(oldest[0]);
      (await oldest[1]).close();
    }
    const opened = open(name);
    connections.set(key, opened);
    return (await opened).transport;
  };
  // Unusable certificates make this call fail before the page is opened.
  await transportOf("");

  const callOptions = ({ signal, timeoutMs, requestHeader }: HandlerContext) => {
    const given = requestHeader.get(authorization) ?? ownAuthorization;
    const limitMs = Math.min(
      timeoutMs() ?? Number.POSITIVE_INFINITY,
      options.timeout ?? Number.POSITIVE_INFINITY,
    );
    return {
      signal,
      headers: given === undefined ? undefined : { [authorization]: given },
      timeoutMs: Number.isFinite(limitMs) ? limitMs : undefined,
    };
  };
  const forward =
    <Request extends { readonly name: string }, Response>(
      call: (
        client: ReturnType<typeof createClient<typeof Operations>>,
        request: Request,
        options: ReturnType<typeof callOptions>,
      ) => Promise<Response>,
    ) =>
    async (request: Request, context: HandlerContext): Promise<Response> => {
      try {
        const client = createClient(Operations, await transportOf(request.name));
        return await call(client, request, callOptions(context));
      } catch (cause) {
        throw forwardedError(cause);
      }
    };

  const router = createConnectRouter();
  router.service(Operations, {
    listOperations: forward((client, request, how) => client.listOperations(request, how)),
    getOperation: forward((client, request, how) => client.getOperation(request, how)),
    deleteOperation: forward((client, request, how) => client.deleteOperation(request, how)),
    cancelOperation: forward((client, request, how) => client.cancelOperation(request, how)),
    waitOperation: forward((client, request, how) => client.waitOperation(request, how)),
  });
  if (options.protocol === "grpc") {
    router.service(ServerReflection, {
      async *serverReflectionInfo(requests, context) {
        const client = createClient(ServerReflection, await transportOf(""));
        yield* client.serverReflectionInfo(requests, callOptions(context));
      },
    });
  }
  return {
    router,
    close() {
      for (const connection of connections.values()) {
        connection.then(({ close }) => close()).catch(() => undefined);
      }
    },
  };
}

/** Returns the server's error without the headers of its response, which are not the proxy's. */
function forwardedError(cause: unknown): ConnectError {
  const error = ConnectError.from(cause);
  const metadata = new Headers();
  for (const name of forwardedMetadata) {
    const value = error.metadata.get(name);
    if (value !== null) metadata.set(name, value);
  }
  const forwarded = new ConnectError(error.rawMessage, error.code, metadata);
  forwarded.details = error.details;
  return forwarded;
}
