import { gzipSync } from "node:zlib";
import { createFileRegistry, createRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterEach, assert, describe, expect, it } from "vitest";
import { bundlePage } from "../../build/bundle-console.js";
import { createConsole } from "../../src/console/index.js";
import { Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { standardDetailsOf } from "../../src/status/index.js";
import { createWebHandler } from "../../src/web/index.js";
import { BackupSchema, file_backups_v1_backups } from "../gen/backups/v1/backups_pb.js";
import { backupOperation } from "./support/backup-operations.js";
import { type ConsoleServer, startConsoleServer } from "./support/console-server.js";

const closing: ConsoleServer[] = [];
afterEach(async () => {
  for (const server of closing.splice(0)) await server.close();
});

async function serverWith(...given: Parameters<typeof startConsoleServer>) {
  const server = await startConsoleServer(...given);
  closing.push(server);
  return server;
}

const someOperations = Array.from({ length: 8 }, (_, index) => backupOperation(index, Date.now()));
const [running] = someOperations;
assert(running !== undefined);

/** The five methods as the page calls them. */
function rpcOf({ url }: ConsoleServer, path = "/console") {
  const transport = createConnectTransport({ baseUrl: `${url}${path}/rpc`, httpVersion: "1.1" });
  return createClient(Operations, transport);
}

describe("the console's page", () => {
  it("has a policy that allows its own files alone, and no inline code", async () => {
    const { url } = await serverWith([]);
    const response = await fetch(`${url}/console/`);
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("unsafe");
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(response.headers.get("set-cookie")).toBeNull();
    const html = await response.text();
    expect(html).not.toMatch(/<style|style=|\son\w+=|<script(?![^>]* src=)|https?:/);
  });

  it("has immutable files with hashed names, in brotli, gzip and plain", async () => {
    const { url } = await serverWith([]);
    const html = await (await fetch(`${url}/console/`)).text();
    const paths = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path ?? "");
    expect(paths).toHaveLength(3);
    for (const path of paths) {
      expect(path).toMatch(/^assets\/\w+-[\w-]{8,}\.(js|css|svg)$/);
      const bodies = new Set<string>();
      for (const coding of ["br", "gzip", "identity"]) {
        const response = await fetch(`${url}/console/${path}`, {
          headers: { "accept-encoding": coding },
        });
        expect(response.status).toBe(200);
        expect(response.headers.get("content-encoding") ?? "identity").toBe(coding);
        expect(response.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
        bodies.add(await response.text());
      }
      expect(bodies.size).toBe(1);
    }
  });

  it("is at most 75 kB gzipped in all", async () => {
    const { files } = await bundlePage();
    const sizes = files.map(({ content }) => gzipSync(content, { level: 9 }).length);
    expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(75_000);
  });

  it("responds with 304 to the entity tag that it sent", async () => {
    const { url } = await serverWith([]);
    const etag = (await fetch(`${url}/console/`)).headers.get("etag") ?? "";
    const again = await fetch(`${url}/console/`, { headers: { "if-none-match": etag } });
    expect([again.status, await again.text()]).toEqual([304, ""]);
  });

  it("redirects to its folder by a relative location that keeps the query", async () => {
    const { url } = await serverWith([], { path: "/ops/console/" });
    const response = await fetch(`${url}/ops/console?op=operations/7`, { redirect: "manual" });
    expect(response.status).toBe(308);
    expect(response.headers.get("location")).toBe("console/?op=operations/7");
    expect((await fetch(`${url}/ops/console/`)).status).toBe(200);
    expect((await fetch(`${url}/console/`)).status).toBe(404);
  });

  it("responds with 404 to an unknown file and 405 to a form", async () => {
    const { url } = await serverWith([]);
    expect((await fetch(`${url}/console/assets/main.js`)).status).toBe(404);
    expect((await fetch(`${url}/console/%2e%2e/config`)).status).toBe(404);
    expect((await fetch(`${url}/console/`, { method: "POST" })).status).toBe(405);
    expect((await fetch(`${url}/console/`, { method: "HEAD" })).status).toBe(200);
  });

  it("is refused for a path that is not absolute, and for a router without Operations", () => {
    const operations = createOperations();
    const routes = (path: string) => () =>
      createWebHandler({
        routes: (router) => router.service(Operations, operations.service),
        handlers: (router) => [createConsole(router, { path })],
      });
    expect(routes("console")).toThrow('path must be an absolute path such as "/console"');
    expect(routes("/console?x")).toThrow(RangeError);
    expect(() => createConsole({ handlers: [] })).toThrow("google.longrunning.Operations");
  });

  it("is served by createWebHandler, too", async () => {
    const operations = createOperations();
    const { fetch: answer } = createWebHandler({
      routes: (router) => router.service(Operations, operations.service),
      handlers: (router) => [createConsole(router)],
    });
    const response = await answer(new Request("http://x.test/console/"));
    expect(await response.text()).toContain('<div id="root">');
    const config = await answer(new Request("http://x.test/console/config"));
    expect(await config.json()).toMatchObject({ title: "Operations", readOnly: false });
  });
});

describe("the console's calls", () => {
  it("reach the five methods of the router", async () => {
    const server = await serverWith(someOperations);
    const rpc = rpcOf(server);
    const { operations } = await rpc.listOperations({ name: "projects/shop" });
    expect(operations.map(({ name }) => name)).toEqual(someOperations.map(({ name }) => name));
    expect((await rpc.getOperation({ name: running.name })).done).toBe(false);
    await rpc.cancelOperation({ name: running.name });
    await rpc.deleteOperation({ name: running.name });
    expect([...server.calls.keys()]).toEqual([
      "ListOperations",
      "GetOperation",
      "CancelOperation",
      "DeleteOperation",
    ]);
  });

  it("cannot cancel or delete if the console is read-only, also by curl", async () => {
    const server = await serverWith(someOperations, { readOnly: true });
    const rpc = rpcOf(server);
    for (const method of ["cancelOperation", "deleteOperation"] as const) {
      const error = ConnectError.from(await rpc[method]({ name: running.name }).catch((e) => e));
      expect(error.code).toBe(Code.PermissionDenied);
      expect(standardDetailsOf(error).errorInfo?.reason).toBe("CONSOLE_READ_ONLY");
      for (const contentType of ["application/json", "application/proto", "application/grpc-web"]) {
        const path = `google.longrunning.Operations/${Operations.method[method].name}`;
        const response = await fetch(`${server.url}/console/rpc/${path}`, {
          method: "POST",
          headers: { "content-type": contentType },
          body: "{}",
        });
        expect(response.status === 403 || response.headers.get("grpc-status") === "7").toBe(true);
      }
    }
    expect((await rpc.getOperation({ name: running.name })).name).toBe(running.name);
    expect([...server.calls.keys()]).toEqual(["GetOperation"]);
  });

  it("reach no other service and no other method", async () => {
    const { url } = await serverWith([]);
    const post = (path: string) =>
      fetch(`${url}/console/rpc/${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{}",
      });
    expect((await post("google.longrunning.Operations/Nothing")).status).toBe(501);
    expect((await post("grpc.health.v1.Health/Check")).status).toBe(405);
  });

  it("are refused from pages of other origins", async () => {
    const { url } = await serverWith([]);
    for (const site of ["cross-site", "same-site"]) {
      const response = await fetch(`${url}/console/config`, {
        headers: { "sec-fetch-site": site },
      });
      expect(response.status).toBe(403);
    }
  });

  it("are decided by authorize as those of any client", async () => {
    const server = await serverWith(
      someOperations,
      {},
      { authorize: ({ action }) => ({ allow: action !== "cancel" }) },
    );
    const error = await rpcOf(server)
      .cancelOperation({ name: running.name })
      .catch((cause) => ConnectError.from(cause));
    expect(error).toMatchObject({ code: Code.PermissionDenied });
  });
});

describe("the console's descriptors", () => {
  const namesIn = async (response: Response) => {
    const bytes = new Uint8Array(await response.arrayBuffer());
    const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
    return [...registry.files].map(({ name }) => name);
  };

  it("come from reflection, with their imports first", async () => {
    const { url } = await serverWith([]);
    const response = await fetch(`${url}/console/types/backups.v1.CreateBackupMetadata`);
    const names = await namesIn(response);
    expect(names).toContain("google/longrunning/operations");
    expect(names.at(-1)).toBe("backups/v1/backups");
  });

  it("come from the registry of the program without reflection", async () => {
    const operations = createOperations();
    const { fetch: answer } = createWebHandler({
      routes: (router) => router.service(Operations, operations.service),
      reflection: false,
      handlers: (router) => [createConsole(router, { registry: createRegistry(BackupSchema) })],
    });
    const known = await answer(new Request("http://x.test/console/types/backups.v1.Backup"));
    expect((await namesIn(known)).at(-1)).toBe(file_backups_v1_backups.name);
    const unknown = await answer(new Request("http://x.test/console/types/a.B"));
    expect(await namesIn(unknown)).toEqual([]);
  });

  it("are empty for an unknown type", async () => {
    const { url } = await serverWith([]);
    expect(await namesIn(await fetch(`${url}/console/types/nothing.v1.Thing`))).toEqual([]);
  });
});
