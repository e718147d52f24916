import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import {
  CountingService,
  CountMetadataSchema,
  CountResponseSchema,
} from "../../examples/platforms/gen/counting/v1/counting_pb.js";
import manifest from "../../package.json" with { type: "json" };
import { createLongRunningClient, longRunning } from "../../src/index.js";
import { repository } from "../consumer/support/pack-package.js";
import { run } from "../consumer/support/run.js";

const timeoutMs = 600_000;
const examples = fileURLToPath(new URL("../../examples/platforms", import.meta.url));
const fixtures = fileURLToPath(new URL("fixtures", import.meta.url));
const packed = inject("packedPackage");

/** Node 20 has 2.1 as its latest; connect-web does not say so, and must be of the same version. */
const connect = Number.parseInt(process.versions.node, 10) >= 22 ? "2" : "2.1";

/** The tools, in addition to the frameworks that the examples' package.json names. */
const tools = [
  `@connectrpc/connect@${connect}`,
  `@connectrpc/connect-node@${connect}`,
  `@connectrpc/connect-web@${connect}`,
  "@opentelemetry/api@1",
  "@rspack/core@2",
  "@swc/core@1",
  "@swc/jest@0.2",
  "@types/express@5",
  "@types/jest@30",
  "@types/node@24",
  "@types/react@19",
  "bun@1",
  "deno@2",
  "jest@30",
  "miniflare@4",
  "node@26",
  // Next needs one with an API in JavaScript.
  "typescript@5.9",
  "typescript-5@npm:typescript@5.7",
  "typescript-7@npm:typescript@7",
  "webpack@5",
];

const Count = longRunning(CountingService.method.count, {
  response: CountResponseSchema,
  metadata: CountMetadataSchema,
});

/** The examples with this package from its tarball and all frameworks and tools. */
let project: string;
/** The newest Node, which Miniflare and programs in TypeScript need. */
let newestNode: string;
/** The servers, by their addresses. */
const running = new Map<string, ChildProcess>();

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "connect-longrunning-platforms-"));
  await cp(examples, project, { recursive: true });
  await cp(fixtures, join(project, "fixtures"), { recursive: true });
  const options = ["--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];
  await run(project, "npm", "install", packed.tarball, ...tools, ...options);
  newestNode = join(project, "node_modules/node/bin/node");
}, timeoutMs);

afterAll(async () => {
  for (const url of [...running.keys()]) await stop(url);
  await rm(project, { recursive: true, force: true });
}, timeoutMs);

describe("a platform", { timeout: timeoutMs }, () => {
  it.each(["express", "fastify", "nest", "hono"])("serves RPC and REST: %s", async (name) => {
    await bundle(`${name}.ts`, `${name}.mjs`);
    await expectService(await start(process.execPath, [`${name}.mjs`]));
  });

  it("serves RPC and REST: TypeScript without a build on the newest Node", async () => {
    await expectService(await start(newestNode, ["node.ts"]));
  });

  it("serves RPC and REST: TypeScript without a build on Node 24", async () => {
    const folder = join(project, "node-24");
    await mkdir(folder);
    await writeFile(join(folder, "package.json"), '{ "private": true }');
    await run(folder, "npm", "install", "node@24", "--no-audit", "--no-fund", "--loglevel=error");
    const node24 = join(folder, "node_modules/node/bin/node");
    expect(await run(folder, node24, "--version")).toMatch(/^v24\./);
    await expectService(await start(node24, ["node.ts"]));
  });

  it("serves RPC and REST: Bun", async () => {
    await expectService(await start("bun", ["run", "bun.ts"]));
  });

  it("serves RPC and REST: Deno", async () => {
    const port = await freePort();
    const args = ["serve", "--allow-all", "--no-check", "--port", String(port), "deno.ts"];
    await expectService(await start("deno", args, port));
  });

  it("serves RPC and REST: Next", async () => {
    await run(project, newestNode, "node_modules/next/dist/bin/next", "build", "next");
    const port = await freePort();
    const args = ["node_modules/next/dist/bin/next", "start", "next", "--port", String(port)];
    await expectService(await start(newestNode, args, port));
  });

  it("serves RPC and REST: a Durable Object in workerd", async () => {
    await bundleWorker("workers/worker.ts", "worker.mjs");
    await expectService(await startWorkers([{ ...durableObject, scriptPath: "worker.mjs" }]));
  });

  it("serves RPC, REST and MCP by parts made at module level in workerd", async () => {
    await bundleWorker("fixtures/worker-parts.ts", "worker-parts.mjs");
    const url = await startWorkers([{ ...durableObject, scriptPath: "worker-parts.mjs" }]);
    await expectService(url);
    const headers = {
      accept: "application/json, text/event-stream",
      "content-type": "application/json",
      "mcp-protocol-version": "2025-06-18",
    };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" });
    const listed = await fetch(`${url}/mcp`, { method: "POST", headers, body });
    const { result } = (await listed.json()) as { result: { tools: { name: string }[] } };
    expect(result.tools.map(({ name }) => name)).toContain("CountingService_Count");
  });

  it("shares clients made at module level between the requests of a Worker", async () => {
    await bundleWorker("workers/worker.ts", "worker.mjs");
    await bundleWorker("fixtures/worker-client.ts", "worker-client.mjs");
    const url = await startWorkers([
      { name: "client", scriptPath: "worker-client.mjs", outboundService: "server" },
      { ...durableObject, name: "server", scriptPath: "worker.mjs" },
    ]);
    const limits = Array.from({ length: 30 }, (_, at) => 1 + at * 5);
    const calls = limits.flatMap((limit) =>
      ["connect", "grpc-web", "rest"].map(async (transport) => {
        const left = new AbortController();
        const response = fetch(`${url}/${transport}?limit=${limit}`, { signal: left.signal });
        // Two of three requests end early, and with them the timers that they set.
        if (limit % 3 !== 0) {
          setTimeout(() => left.abort(), limit);
          await response.then((one) => one.text()).catch(() => undefined);
          return;
        }
        expect(await (await response).json()).toEqual({ last: limit, counted: limit });
      }),
    );
    await Promise.all(calls);
  });

  it("serves a call that Lambda hands over", async () => {
    await bundle("lambda.ts", "lambda.mjs");
    const script = `
      const { handler } = await import("./lambda.mjs");
      const call = (rawPath, method, body) => handler({
        rawPath, rawQueryString: "", isBase64Encoded: false, body,
        headers: { "content-type": "application/json" },
        requestContext: { domainName: "lambda.test", http: { method } },
      });
      const text = ({ body }) => JSON.parse(Buffer.from(body, "base64"));
      const started = text(await call("/v1/counts", "POST", '{"limit":3}'));
      const waited = await call("/v1/" + started.name + ":wait", "POST", '{"timeout":"10s"}');
      console.log(JSON.stringify([waited.statusCode, text(waited).response.counted]));`;
    const output = await run(project, "node", "--input-type=module", "--eval", script);
    expect(JSON.parse(output)).toEqual([200, 3]);
  });
});

describe("an empty project", { timeout: timeoutMs }, () => {
  const nodes = { "this Node": () => process.execPath, "the newest Node": () => newestNode };
  const peers = Object.keys(manifest.peerDependencies);
  const cases = Object.entries(nodes).flatMap(([title, node]) => [
    { title: `the README's line on ${title}`, node, packages: documented("README.md") },
    {
      title: `the lines of the README and of docs/operate on ${title}`,
      node,
      packages: [
        ...documented("README.md"),
        ...["choose-a-store", "metrics", "postgres"].flatMap((page) =>
          documented(`docs/operate/${page}.md`),
        ),
      ],
    },
    {
      title: `the newest of all peers on ${title}`,
      node,
      packages: ["connect-longrunning", ...peers],
    },
  ]);
  it.each(cases)("can install $title", async ({ node, packages }) => {
    const folder = await mkdtemp(join(project, "empty-"));
    // Otherwise npm installs into the project around it.
    await writeFile(join(folder, "package.json"), '{ "private": true }');
    const wanted = packages.map((one) => (one === "connect-longrunning" ? packed.tarball : one));
    const options = ["--package-lock-only", "--prefer-offline", "--no-audit", "--loglevel=error"];
    // npm prefers versions that fit the Node which runs it.
    const path = `${dirname(node())}:${process.env.PATH}`;
    await run(folder, "env", `PATH=${path}`, "npm", "install", ...wanted, ...options);
    const lock = JSON.parse(await readFile(join(folder, "package-lock.json"), "utf8"));
    const connects = Object.entries<{ version: string }>(lock.packages).filter(([path]) =>
      path.includes("node_modules/@connectrpc/"),
    );
    // Connect's packages fit only if they have one version.
    expect(new Set(connects.map(([, { version }]) => version)).size).toBe(1);
  });
});

describe("a bundled server with a SQLite store", { timeout: timeoutMs }, () => {
  it.each([
    ["webpack", "webpack"],
    ["Rspack", "@rspack/core"],
  ])("runs: %s", async (_, bundler) => {
    await bundle("fixtures/sqlite-server.ts", "sqlite-server.mjs");
    const folder = join(project, `bundled-by-${bundler.replace("/", "-")}`);
    const script = `
      import * as bundler from ${JSON.stringify(bundler)};
      const { webpack, rspack } = { ...bundler, ...bundler.default };
      const make = webpack && ${bundler === "webpack"} ? (bundler.default ?? webpack) : rspack;
      make({
        mode: "production", target: "node", entry: "./sqlite-server.mjs",
        output: { path: ${JSON.stringify(folder)}, filename: "server.cjs" },
      }, (error, stats) => {
        if (error || stats.hasErrors()) { console.error(error ?? stats.toString()); process.exit(1); }
      });`;
    await writeFile(join(project, "bundle.mjs"), script);
    await run(project, newestNode, "bundle.mjs");
    const port = await freePort();
    const data = join(folder, "operations.db");
    const url = await start(newestNode, [join(folder, "server.cjs")], port, { DATA: data });
    const response = await fetch(`${url}/google.longrunning.Operations/ListOperations`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect([response.status, await response.json()]).toEqual([200, {}]);
  });
});

describe("Next with a SQLite store", { timeout: timeoutMs }, () => {
  it.each(["turbopack", "webpack"])("keeps operations over a restart: %s", async (bundler) => {
    const folder = `next-sqlite-${bundler}`;
    await cp(join(fixtures, "next-sqlite"), join(project, folder), { recursive: true });
    const next = "node_modules/next/dist/bin/next";
    await run(project, newestNode, next, "build", folder, `--${bundler}`);
    const data = { DATA: join(project, folder, "operations.db") };
    const open = async () => {
      const port = await freePort();
      return start(newestNode, [next, "start", folder, "--port", String(port)], port, data);
    };
    const first = await open();
    await expectService(first);
    await expect.poll(() => listed(first), { timeout: 10_000 }).toHaveLength(3);
    const operations = await listed(first);
    await stop(first);
    expect(await listed(await open())).toEqual(operations);
  });
});

describe("a project of type CommonJS", { timeout: timeoutMs }, () => {
  let folder: string;

  beforeAll(async () => {
    folder = join(project, "commonjs");
    await mkdir(folder, { recursive: true });
    for (const file of ["commonjs.ts", "commonjs.test.ts"]) {
      await cp(join(fixtures, file), join(folder, file));
    }
    await writeFile(join(folder, "package.json"), '{ "type": "commonjs" }');
  });

  const compilers = [
    ["7, nodenext", "typescript-7", "nodenext"],
    ["5.7, nodenext", "typescript-5", "nodenext"],
    ["5.7, node16", "typescript-5", "node16"],
  ] as const;
  it.each(compilers)("compiles and runs: TypeScript %s", async (_, compiler, module) => {
    const options = ["--module", module, "--target", "es2022", "--outDir", "out"];
    await run(folder, "node", tsc(compiler), ...options, ...strict, "commonjs.ts");
    const script = 'require("./out/commonjs.js").listed().then(console.log)';
    expect(await run(folder, "node", "--eval", script)).toBe("0\n");
  });

  it("is tested by Jest, with the recipe of the guide", async () => {
    await writeFile(
      join(folder, "jest.config.js"),
      `module.exports = {
        transform: { "\\\\.[jt]s$": "@swc/jest" },
        transformIgnorePatterns: ["/node_modules/(?!(connect-longrunning|uuid)/)"],
      };`,
    );
    await run(folder, "node", join(project, "node_modules/jest/bin/jest.js"), "commonjs.test.ts");
  });
});

describe("the declarations", { timeout: timeoutMs }, () => {
  it.each([
    ["7", "typescript-7"],
    ["5.7", "typescript-5"],
  ])("compile without skipLibCheck: TypeScript %s", async (_, compiler) => {
    const options = ["--module", "nodenext", "--target", "es2022", "--noEmit"];
    const allowed = ["--allowImportingTsExtensions", "--experimentalDecorators"];
    await run(project, "node", tsc(compiler), ...options, ...allowed, ...strict, "service.ts");
  });
});

/** The packages that the `npm install` lines of a document name. */
function documented(path: string): string[] {
  const text = readFileSync(join(repository, path), "utf8");
  return [...text.matchAll(/npm install ([^`\n]+)/g)].flatMap(([, names = ""]) => names.split(" "));
}

const strict = ["--strict", "--skipLibCheck", "false", "--types", "node"];

const tsc = (compiler: string) => join(project, "node_modules", compiler, "bin/tsc");

const durableObject = { durableObjects: { OPERATIONS: "OperationsObject" } };

/** Bundles a Worker with all its packages. */
function bundleWorker(from: string, to: string): Promise<void> {
  return bundle(from, to, { packages: "bundle", platform: "browser" });
}

/** Starts Workers in workerd, of which the first takes the requests, and returns its address. */
async function startWorkers(workers: readonly object[]): Promise<string> {
  const all = workers.map((worker) => ({
    modules: true,
    compatibilityDate: "2026-01-01",
    ...worker,
  }));
  const script = `
    import { Miniflare } from "miniflare";
    new Miniflare({ port: Number(process.env.PORT), workers: ${JSON.stringify(all)} });`;
  await writeFile(join(project, "miniflare.mjs"), script);
  return start(newestNode, ["miniflare.mjs"]);
}

/** Compiles one file, with its own modules inside. */
async function bundle(
  from: string,
  to: string,
  options: { packages?: "bundle" | "external"; platform?: "browser" | "node" } = {},
): Promise<void> {
  await build({
    absWorkingDir: project,
    entryPoints: [from],
    outfile: to,
    bundle: true,
    format: "esm",
    packages: "external",
    platform: "node",
    tsconfigRaw: { compilerOptions: { experimentalDecorators: true } },
    ...options,
  });
}

/** Starts a server and returns its address as soon as it answers. */
async function start(
  program: string,
  args: readonly string[],
  port?: number,
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  const used = port ?? (await freePort());
  const path = `${join(project, "node_modules/.bin")}:${process.env.PATH}`;
  const child = spawn(program, args, {
    cwd: project,
    // A group of its own, to end the processes that it starts as well: Miniflare leaves workerd behind.
    detached: true,
    env: { ...process.env, NODE_ENV: "production", ...environment, PORT: String(used), PATH: path },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const ended = once(child, "exit").then(() => {
    throw new Error(`${program} ${args.join(" ")} ended:\n${output}`);
  });
  const url = `http://localhost:${used}`;
  running.set(url, child);
  await Promise.race([ended, untilAnswers(url, () => output)]);
  ended.catch(() => undefined);
  return url;
}

async function stop(url: string): Promise<void> {
  const child = running.get(url);
  if (child?.pid === undefined) throw new RangeError(`nothing runs at ${url}`);
  running.delete(url);
  const ended = once(child, "exit");
  process.kill(-child.pid, "SIGKILL");
  await ended;
}

/** Polls, because no two platforms say alike that they listen. */
async function untilAnswers(url: string, output: () => string): Promise<void> {
  const endMs = Date.now() + 60_000;
  while (Date.now() < endMs) {
    const response = await fetch(url).catch(() => undefined);
    await response?.arrayBuffer();
    if (response !== undefined) return;
    await pause(100);
  }
  throw new Error(`no answer from ${url}:\n${output()}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, "listening");
  const address = server.address();
  server.close();
  if (address === null || typeof address === "string") throw new Error("no port was given");
  return address.port;
}

/** The operations that have ended. */
async function listed(baseUrl: string): Promise<unknown[]> {
  const response = await fetch(`${baseUrl}/v1/operations?filter=done%3Dtrue`);
  const { operations = [] } = (await response.json()) as { operations?: unknown[] };
  return operations;
}

/** Calls a platform by Connect, by gRPC-Web and by REST, from the start to the result. */
async function expectService(baseUrl: string): Promise<void> {
  const options = { baseUrl, useBinaryFormat: true };
  for (const transport of [createConnectTransport(options), createGrpcWebTransport(options)]) {
    const client = createLongRunningClient({ count: Count }, transport);
    const handle = await client.count({ limit: 4 });
    const seen: number[] = [];
    for await (const { metadata } of handle.watch()) seen.push(metadata?.counted ?? 0);
    expect(seen.at(-1)).toBe(4);
    expect((await handle.result()).counted).toBe(4);
  }
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ limit: 2 });
  const started = await fetch(`${baseUrl}/v1/counts`, { method: "POST", headers, body });
  expect(started.status).toBe(200);
  const { name } = (await started.json()) as { name: string };
  const missing = await fetch(`${baseUrl}/v1/operations/none`);
  expect(missing.status).toBe(404);
  const found = await fetch(`${baseUrl}/v1/${name}`);
  expect(await found.json()).toMatchObject({ name });
}
