// A server with mutual TLS: the client's certificate is the caller, and certificates are renewed.
import { readFile } from "node:fs/promises";
import type { TLSSocket } from "node:tls";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createContextKey,
  createContextValues,
} from "@connectrpc/connect";
import { createServer, type Server, type ServerOptions } from "connect-longrunning/node";
import type { Authorize, OperationsServer } from "connect-longrunning/server";

/** The common name of the client's certificate. */
const callerKey = createContextKey<string | undefined>(undefined, { description: "caller" });

/** Each client sees the operations that it has started; without a certificate a call fails. */
export const authorize: Authorize = ({ context }) => {
  const caller = context.values.get(callerKey);
  if (caller === undefined) throw new ConnectError("no client certificate", Code.Unauthenticated);
  return { allow: true, principal: caller, sees: "own" };
};

/** Reads the caller from the certificate of a connection, which Node has verified. */
const contextValues: ServerOptions["contextValues"] = ({ socket }) => {
  // The socket of HTTP/2 is a proxy of the TLS socket.
  const isVerified = "authorized" in socket && socket.authorized === true;
  const caller = isVerified ? (socket as TLSSocket).getPeerCertificate().subject?.CN : undefined;
  return createContextValues().set(callerKey, caller);
};

/** The paths of PEM files, as cert-manager or certbot write them. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
  /** The authority that signs the clients' certificates. */
  readonly clientCa: string;
}

const read = async ({ cert, key, clientCa }: CertificateFiles) => ({
  cert: await readFile(cert),
  key: await readFile(key),
  ca: await readFile(clientCa),
});

/** Creates the server. Operations need the `authorize` above. */
export async function createTlsServer(
  files: CertificateFiles,
  operations: OperationsServer,
  routes: (router: ConnectRouter) => void,
): Promise<Server> {
  const tls = {
    ...(await read(files)),
    requestCert: true,
    // A client without a certificate may call /readyz; `authorize` refuses it for operations.
    rejectUnauthorized: false,
  };
  return createServer({ routes, operations, tls, contextValues });
}

/** Uses the files' present content from the next connection on. Keeps the old one if it is not valid. */
export async function renewCertificate(
  server: Server,
  files: CertificateFiles,
  report: (...line: unknown[]) => void = console.error,
): Promise<void> {
  try {
    server.setTls(await read(files));
  } catch (cause) {
    report("the renewed certificate is not valid:", cause);
  }
}

/** Renews on SIGHUP and once an hour, which is often enough for certificates that last for days. */
export function keepCertificateRenewed(server: Server, files: CertificateFiles): void {
  const renew = () => void renewCertificate(server, files);
  process.on("SIGHUP", renew);
  setInterval(renew, 3_600_000).unref();
}
