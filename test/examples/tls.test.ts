import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect, type SecureContextOptions, type TLSSocket } from "node:tls";
import { Code } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { generate } from "selfsigned";
import { beforeAll, describe, it, onTestFinished } from "vitest";
import { authorize, createTlsServer, renewCertificate } from "../../examples/tls/server.js";
import { createOperationsClient } from "../../src/index.js";
import {
  createGrpcTransport as createOwnGrpcTransport,
  createServer,
} from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { type Certificate, createCertificate } from "../support/certificate.js";
import { Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";
import { createTemporaryFolder } from "../support/temporary-folder.js";

interface Identity {
  readonly cert: string;
  readonly key: string;
}

/** The options of all transports that the test gives. */
interface TlsTransportOptions {
  readonly baseUrl: string;
  readonly nodeOptions: { readonly ca: string; readonly cert?: string; readonly key?: string };
}

let ca: Identity;
let first: Certificate;
let second: Certificate;

beforeAll(async () => {
  [ca, first, second] = await Promise.all([
    identity("ca"),
    createCertificate(),
    createCertificate(),
  ]);
});

/** A certificate with this common name, of `issuer` or self-signed. */
async function identity(name: string, issuer?: Identity): Promise<Identity> {
  const { cert, private: key } = await generate([{ name: "commonName", value: name }], {
    keyType: "ec",
    algorithm: "sha256",
    ...(issuer === undefined
      ? { extensions: [{ name: "basicConstraints", cA: true, critical: true }] }
      : { ca: issuer }),
  });
  return { cert, key };
}

/** The certificate that a new connection is shown, and the connection. */
async function shown(port: number, servername: string) {
  const socket = await new Promise<TLSSocket>((resolve, reject) => {
    const made = connect({ port, host: "127.0.0.1", servername, rejectUnauthorized: false });
    made.once("secureConnect", () => resolve(made));
    made.once("error", reject);
  });
  onTestFinished(() => void socket.destroy());
  return { socket, fingerprint: socket.getPeerX509Certificate()?.fingerprint256 };
}

describe("setTls", () => {
  it.each([
    ["with a server name", "localhost"],
    ["without a server name", ""],
  ])("shows a renewed certificate to a client %s, and keeps open connections", async (_, name) => {
    const server = createServer({ routes: () => {}, tls: first });
    const { port } = await server.listen();
    onTestFinished(() => server.close({ graceMs: 0 }));
    const before = await shown(port, name);
    server.setTls(second);
    const after = await shown(port, name);
    assert.notEqual(after.fingerprint, before.fingerprint);
    // The older connection still has its calls answered.
    const answered = new Promise<string>((resolve) =>
      before.socket.once("data", (b) => resolve(`${b}`)),
    );
    before.socket.write("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert.match(await answered, /^HTTP\/1.1 200 /);
  });

  it.each<[string, () => SecureContextOptions]>([
    ["is not PEM", () => ({ cert: "x", key: "y" })],
    ["does not match its key", () => ({ cert: second.cert })],
  ])("throws for a certificate that %s, and keeps the old one", async (_, bad) => {
    const server = createServer({ routes: () => {}, tls: first });
    const { port } = await server.listen();
    onTestFinished(() => server.close({ graceMs: 0 }));
    const before = await shown(port, "localhost");
    assert.throws(() => server.setTls(bad()));
    assert.equal((await shown(port, "localhost")).fingerprint, before.fingerprint);
  });

  it("throws if the server has no TLS", () => {
    assert.throws(() => createServer({ routes: () => {} }).setTls(first), /created without `tls`/);
  });
});

describe("the example with mutual TLS", () => {
  async function serve() {
    const folder = await createTemporaryFolder();
    const files = {
      cert: join(folder, "tls.crt"),
      key: join(folder, "tls.key"),
      clientCa: join(folder, "ca.crt"),
    };
    const write = async ({ cert, key }: Certificate) => {
      await writeFile(files.cert, cert);
      await writeFile(files.key, key);
    };
    await write(first);
    await writeFile(files.clientCa, ca.cert);
    const operations = createOperations({ authorize });
    const server = await createTlsServer(files, operations, (router) => {
      router.service(Operations, operations.service);
    });
    const { url, port } = await server.listen();
    onTestFinished(() => server.close({ graceMs: 0 }));
    return { server, operations, files, write, url, port };
  }

  it.each([
    ["gRPC by our transport", createOwnGrpcTransport],
    ["gRPC by Connect's transport", createGrpcTransport],
    [
      "Connect over HTTP/1.1",
      (options: TlsTransportOptions) => createConnectTransport({ ...options, httpVersion: "1.1" }),
    ],
  ])("takes the client's certificate for the caller: %s", async (_, createTransport) => {
    const { operations, url } = await serve();
    const { name } = await operations.create(Print, {}, { principal: "alice" });
    const [alice, bob, stranger] = await Promise.all([
      identity("alice", ca),
      identity("bob", ca),
      identity("alice"),
    ]);
    const get = (client: Identity | undefined) => {
      const nodeOptions = { ca: first.cert, ...client };
      return createOperationsClient(createTransport({ baseUrl: url, nodeOptions })).get(name);
    };
    assert.equal((await get(alice)).name, name);
    assert.equal((await rejectionOf(get(bob))).code, Code.NotFound);
    assert.equal((await rejectionOf(get(stranger))).code, Code.Unauthenticated);
    assert.equal((await rejectionOf(get(undefined))).code, Code.Unauthenticated);
  });

  it("renews from its files, keeps the old certificate if they are broken, and still verifies clients", async () => {
    const { server, files, write, port } = await serve();
    const before = await shown(port, "");
    const reported: unknown[] = [];
    const report = (...line: unknown[]) => void reported.push(line);
    await write({ cert: "half a fi", key: first.key });
    await renewCertificate(server, files, report);
    assert.equal(reported.length, 1);
    assert.equal((await shown(port, "")).fingerprint, before.fingerprint);
    await write(second);
    await renewCertificate(server, files);
    assert.notEqual((await shown(port, "")).fingerprint, before.fingerprint);
  });
});
