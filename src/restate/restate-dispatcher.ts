import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { Context } from "@restatedev/restate-sdk";
import { atLeastOne, inRange, longestMs } from "../internal/option-bounds.js";
import type { DispatchedOperation, Dispatcher } from "../store/dispatcher.js";
import { transactionUnsupported } from "../store/errors.js";
import {
  endpointNotRegistered,
  nodeTooOld,
  packageMissing,
  restateRefused,
  restateUnavailable,
} from "./errors.js";
import { createRuns } from "./runs.js";

/** How Restate delivers operations to the processes of a service. */
export interface RestateDispatcherOptions {
  /** Address of Restate's ingress, such as `http://127.0.0.1:8080`. */
  ingressUrl: string;
  /**
   * Address of Restate's admin API, such as `http://127.0.0.1:9070`, where the worker endpoint is
   * registered. Default: it is registered by other means.
   */
  adminUrl?: string | undefined;
  /** Name of the Restate service, one for each store. Default: `longrunning`. */
  service?: string | undefined;
  /**
   * Where this process takes deliveries from Restate, by HTTP/2 without TLS. The address must not be
   * the public one. Default: it takes none, and only dispatches.
   */
  listen?: RestateListenOptions | undefined;
  /** Sent to Restate as `authorization: Bearer …`. Default: none. */
  token?: string | undefined;
  /**
   * Public keys of Restate's request identity. A delivery that none of them signed is refused.
   * Default: each delivery is accepted.
   */
  identityKeys?: readonly string[] | undefined;
  /** Most operations that run at the same time in this process, at least 1. Default: 100. */
  maxConcurrent?: number | undefined;
  /**
   * How often the server dispatches operations again that no process has begun, in milliseconds,
   * 1 to 2^31 - 1: for a process that died between its commit and its message to Restate. Default: 10,000.
   */
  redispatchMs?: number | undefined;
  /**
   * How long work goes on without a connection to Restate until it counts as lost, in
   * milliseconds, 1 to 2^31 - 1. Default: 5,000.
   */
  rejoinMs?: number | undefined;
}

/** The address at which a process receives deliveries. */
export interface RestateListenOptions {
  /** Default: `127.0.0.1`. */
  host?: string | undefined;
  /** Default: 9080. 0: any free port, which is for tests. */
  port?: number | undefined;
  /**
   * Address at which Restate reaches the endpoint. Keep it the same for the life of a service, and let
   * it lead to all workers: Restate calls a delivery that it has begun at this address only. Default:
   * that of `host` and the port.
   */
  url?: string | undefined;
}

/** A dispatcher whose queue is a Restate server. */
export interface RestateDispatcher extends Dispatcher {
  /** Address at which Restate reaches this process. Undefined if it takes no deliveries. */
  readonly endpointUrl: string | undefined;
}

/** How long a request to Restate may take, in milliseconds. */
const requestTimeoutMs = 10_000;

/** How long Restate waits for an answer of work under way: longer than any work. */
const longestWork = { days: 365 };

/** How long Restate remembers a delivery that is over, in milliseconds. */
const idempotencyRetentionMs = 60_000;

/** How long `stop` waits until Restate has heard how deliveries ended, in milliseconds. */
const flushMs = 1000;

/**
 * Creates a dispatcher that delivers operations by a Restate server. The store keeps the records.
 * Restate has the names of operations, and no payload. A delivery ends when its operation is settled.
 *
 *     const dispatcher = await createRestateDispatcher({ ingressUrl, adminUrl, listen: {} });
 *     const operations = createOperations({ store, signals, dispatcher });
 *
 * It needs Node.js 22 and the package `@restatedev/restate-sdk`.
 *
 * @throws RangeError for an option out of its bounds; ConnectError `Internal` if the SDK is missing or
 *   Restate does not register the endpoint.
 */
export async function createRestateDispatcher(
  options: RestateDispatcherOptions,
): Promise<RestateDispatcher> {
  const { ingressUrl, adminUrl, service = "longrunning", listen } = options;
  const maxConcurrent = atLeastOne("maxConcurrent", options.maxConcurrent ?? 100);
  const redispatchMs = inRange("redispatchMs", options.redispatchMs ?? 10_000, 1, longestMs);
  const rejoinMs = inRange("rejoinMs", options.rejoinMs ?? 5000, 1, longestMs);
  const runs = createRuns({ maxConcurrent, rejoinMs });
  const headers = {
    "content-type": "application/json",
    ...(options.token !== undefined && { authorization: `Bearer ${options.token}` }),
  };

  const send = async ({ name, method, tenant, attempt = 0 }: DispatchedOperation) => {
    const url = `${ingressUrl.replace(/\/+$/, "")}/${service}/deliver/send`;
    let response: Response;
    try {
      response = await fetch(url, {
        method: "POST",
        headers: { ...headers, "idempotency-key": `${name}#${attempt}` },
        body: JSON.stringify({ name, method, tenant }),
        signal: AbortSignal.timeout(requestTimeoutMs),
      });
      await response.arrayBuffer();
    } catch (cause) {
      throw restateUnavailable(cause);
    }
    if (!response.ok) throw restateRefused(response.status);
  };
  const sendAll = async (operations: readonly DispatchedOperation[]) => {
    await Promise.all(operations.map(send));
  };

  /** Runs one delivery until it is settled. Restate repeats it from its last step if it throws. */
  const deliver = async (context: Context, operation: DispatchedOperation): Promise<void> => {
    for (let step = 0; ; step += 1) {
      const settlement = await context.run(`run ${step}`, () =>
        runs.run(operation, context.request().attemptCompletedSignal),
      );
      if (settlement.kind !== "retry" && settlement.kind !== "continue") return;
      await context.sleep(settlement.delayMs);
    }
  };

  let endpoint: Endpoint | undefined;
  if (listen !== undefined) {
    const { createEndpointHandler, service: createService } = await loadSdk();
    const definition = createService({
      name: service,
      handlers: {
        deliver: (context: Context, operation: DispatchedOperation) =>
          runs.tracked(() => deliver(context, operation)),
      },
      options: {
        idempotencyRetention: idempotencyRetentionMs,
        journalRetention: 0,
        inactivityTimeout: longestWork,
        abortTimeout: longestWork,
        retryPolicy: {
          initialInterval: 100,
          maxInterval: 5000,
          exponentiationFactor: 2,
          maxAttempts: Number.MAX_SAFE_INTEGER,
        },
      },
    });
    const { identityKeys } = options;
    const handler = createEndpointHandler({
      services: [definition],
      ...(identityKeys !== undefined && { identityKeys: [...identityKeys] }),
      // Restate's log lines are about attempts of deliveries, which the operations' log contains.
      logger: () => undefined,
    });
    endpoint = await openEndpoint(createServer(handler), listen);
    try {
      if (adminUrl !== undefined) await register(adminUrl, endpoint.url, headers);
    } catch (cause) {
      await endpoint.close();
      throw cause;
    }
  }

  let stopped: Promise<void> | undefined;
  return {
    isDurable: true,
    redispatchMs,
    endpointUrl: endpoint?.url,
    async dispatch(operations, given) {
      const transaction = given?.transaction;
      if (transaction === undefined) return sendAll(operations);
      if (transaction.afterCommit === undefined) throw transactionUnsupported("Restate dispatcher");
      // A failed send loses no operation: the server dispatches again each operation that no
      // process has begun.
      transaction.afterCommit(() => void sendAll(operations).catch(() => undefined));
    },
    serve: (method, run, given) => runs.serve(method, run, given?.maxConcurrent),
    stop() {
      stopped ??= (async () => {
        await runs.stop(flushMs);
        await endpoint?.close();
      })();
      return stopped;
    },
    abandon: () => void endpoint?.close(),
  };
}

/** The open port of a process. */
interface Endpoint {
  readonly url: string;
  /** Cuts all connections. Restate delivers again what was under way. */
  close(): Promise<void>;
}

async function openEndpoint(server: Http2Server, listen: RestateListenOptions): Promise<Endpoint> {
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    session.on("error", () => undefined);
  });
  const { host = "127.0.0.1", port = 9080 } = listen;
  server.listen({ host, port });
  await once(server, "listening");
  const address = server.address();
  const actual = typeof address === "object" && address !== null ? address.port : port;
  let closed: Promise<void> | undefined;
  return {
    url: listen.url ?? `http://${host.includes(":") ? `[${host}]` : host}:${actual}`,
    close() {
      closed ??= new Promise((resolve) => {
        server.close(() => resolve());
        for (const session of sessions) session.destroy();
      });
      return closed;
    },
  };
}

async function register(
  adminUrl: string,
  uri: string,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(`${adminUrl.replace(/\/+$/, "")}/deployments`, {
      method: "POST",
      headers,
      body: JSON.stringify({ uri, force: true }),
      signal: AbortSignal.timeout(requestTimeoutMs),
    });
    text = await response.text();
  } catch (cause) {
    throw endpointNotRegistered(uri, cause);
  }
  if (response.ok) return;
  const answer = `HTTP status ${response.status}: ${text.slice(0, 1000)}`;
  throw endpointNotRegistered(uri, new Error(answer));
}

/** Loads the SDK, which is an optional peer. */
async function loadSdk(): Promise<typeof import("@restatedev/restate-sdk")> {
  const { version, versions } = process;
  if (Number(versions.node.split(".")[0]) < 22) throw nodeTooOld(version);
  try {
    return await import("@restatedev/restate-sdk");
  } catch (cause) {
    throw packageMissing("@restatedev/restate-sdk", cause);
  }
}
