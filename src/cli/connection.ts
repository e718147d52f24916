import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Registry } from "@bufbuild/protobuf";
import type { Interceptor, Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { withPingDefaults } from "../node/client-sessions.js";
import { createGrpcTransport } from "../node/grpc-transport.js";
import { parseListName, parseOperationName } from "../operation/name.js";
import { createRestTransport, operationsHttpRules } from "../rest/index.js";
import { tlsForPlaintext } from "./errors.js";
import { withHeaderCommand } from "./header-command.js";
import { readBoundedFile } from "./read-bounded-file.js";
import { createTlsFetch, type Trust } from "./tls-fetch.js";

/** The protocols that the command can use. */
export const protocols = ["grpc", "grpc-web", "connect", "rest"] as const;
export type Protocol = (typeof protocols)[number];

/** The address of a server, and the options of its connection. */
export interface ConnectionOptions {
  /** `http://` or `https://`, host and port, and the path prefix of the server, if it has one. */
  readonly server: URL;
  readonly protocol: Protocol;
  /** Sent with every call. */
  readonly header: readonly (readonly [name: string, value: string])[];
  /** A program that prints further headers, with its arguments; undefined for none. */
  readonly headerCommand: readonly string[] | undefined;
  /** A file of certificates in PEM that are trusted instead of the system's. */
  readonly ca: string | undefined;
  /** Whether any certificate of the server is trusted. */
  readonly insecure: boolean;
  /** The first segment of REST paths. */
  readonly restVersion: string;
}

/** A connection to a server, which opens at the first call. */
export interface Connection {
  readonly transport: Transport;
  /** Closes the connection and aborts its calls. */
  close(): void;
}

/**
 * Prepares the connection to a server.
 *
 * @param name The name of the operation or the parent of the list. REST derives the pattern of
 *   its paths from the segments of the name.
 * @param registry The types that JSON may hold, for REST.
 * @throws CommanderError for certificates that cannot be read, or that the server's address does
 *   not need because it is plaintext.
 */
export async function openConnection(
  options: ConnectionOptions,
  name: string,
  registry: Registry | undefined,
): Promise<Connection> {
  const { server, protocol } = options;
  const trust = await trustOf(options);
  const baseUrl = server.href.replace(/\/+$/, "");
  const interceptors = [withHeader(options.header)];
  if (options.headerCommand !== undefined) {
    interceptors.push(await withHeaderCommand(options.headerCommand));
  }
  if (protocol === "grpc") {
    const sessionManager = new Http2SessionManager(baseUrl, withPingDefaults({}), trust);
    return {
      transport: createGrpcTransport({ baseUrl, interceptors, sessionManager }),
      close: () => sessionManager.abort(),
    };
  }
  const isTls = server.protocol === "https:";
  if (protocol === "rest") {
    const tls = isTls && Object.keys(trust).length > 0 ? createTlsFetch(trust) : undefined;
    const parent = parentPatternOf(name);
    const rules = operationsHttpRules({ version: options.restVersion, parent });
    return {
      transport: createRestTransport({ baseUrl, interceptors, rules, registry, fetch: tls?.fetch }),
      close: () => tls?.close(),
    };
  }
  const agent = isTls
    ? new HttpsAgent({ keepAlive: true, ...trust })
    : new HttpAgent({ keepAlive: true });
  const createTransport = protocol === "connect" ? createConnectTransport : createGrpcWebTransport;
  return {
    transport: createTransport({
      baseUrl,
      interceptors,
      httpVersion: "1.1",
      nodeOptions: { agent },
      useBinaryFormat: true,
    }),
    close: () => agent.destroy(),
  };
}

async function trustOf({ server, ca, insecure }: ConnectionOptions): Promise<Trust> {
  if (server.protocol !== "https:") {
    if (ca !== undefined) throw tlsForPlaintext("--ca");
    if (insecure) throw tlsForPlaintext("--insecure");
  }
  return {
    ...(ca !== undefined && { ca: await readBoundedFile(ca) }),
    ...(insecure && { rejectUnauthorized: false as const }),
  };
}

/**
 * Returns a pattern with as many segments as the parent in this name. The HTTP rules of REST need a
 * pattern, and the command has only the name. The pattern is empty if the name begins with its
 * collection.
 */
export function parentPatternOf(name: string): string {
  const parent = parseOperationName(name)?.parent ?? parseListName(name) ?? "";
  if (parent === "" || parent.startsWith("operations/")) return "";
  return parent.replace(/[^/]+/g, "*");
}

function withHeader(header: ConnectionOptions["header"]): Interceptor {
  return (next) => (request) => {
    for (const [name, value] of header) request.header.append(name, value);
    return next(request);
  };
}
