import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, symlink } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import { build } from "esbuild";
import { publint } from "publint";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { relativeLinksOf } from "../support/markdown-links.js";
import { createGuideProject, createReadmeProject } from "./support/documented-project.js";
import { createProject, install, type Versions } from "./support/fixture-project.js";
import { repository } from "./support/pack-package.js";
import { run } from "./support/run.js";

const timeoutMs = 180_000;

const packed = inject("packedPackage");

/** Outside of the repository, so that nothing is found in its node_modules. */
let directory: string;
/** A project that takes google's types from us. */
let project: string;
/** Where the package is installed in it. */
let installed: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "connect-longrunning-"));
  project = await createProject("imports-ours", directory);
  await install(project, packed.tarball);
  installed = join(project, "node_modules/connect-longrunning");
}, timeoutMs);

afterAll(() => rm(directory, { recursive: true, force: true }));

const filledOrders = {
  sameDescriptors: [true, true, true],
  route: "/v1/{parent=shops/*}/orders:fill",
  kinds: ["running", "succeeded"],
  packed: 3,
  parcels: 3,
  losses: ["15 one fell off the truck"],
  failure: "cancelled 1",
  listed: true,
};

describe.concurrent("a project that uses the package", { timeout: timeoutMs }, () => {
  it("imports google's protos and types from it", async () => {
    await run(project, "buf", "generate");
    await expectTypesOfOurs(project);
    await run(project, "tsc");
    await run(project, "tsc", "-p", "tsconfig.bundler.json");
    expect(await outputOf(project)).toEqual(filledOrders);
  });

  it("works with the oldest peers that we allow", async () => {
    const { protobuf, connect } = await oldestPeers();
    const old = await createProject("imports-ours", directory);
    await install(old, packed.tarball, {
      "@bufbuild/protobuf": protobuf,
      "@bufbuild/protoc-gen-es": protobuf,
      "@connectrpc/connect": connect,
      "@connectrpc/connect-node": connect,
    });
    await run(old, "buf", "generate", "--template", "buf.gen.rewrite-imports.yaml");
    await expectTypesOfOurs(old);
    await run(old, "tsc");
    expect(await outputOf(old)).toEqual(filledOrders);
  });

  it("has the longrunning command", async () => {
    const { version } = JSON.parse(await readFile(join(installed, "package.json"), "utf8"));
    for (const name of ["longrunning", "connect-longrunning"]) {
      expect(await run(project, name, "--version")).toBe(`${version}\n`);
    }
  });

  it("may have a copy of google's types of its own", async () => {
    const own = await createProject("own-copy", directory);
    // It asks for the same packages, and installing them takes longer than all the rest.
    await symlink(join(project, "node_modules"), join(own, "node_modules"));
    await run(own, "buf", "generate");
    await run(own, "tsc");
    expect(await outputOf(own)).toEqual({
      sameDescriptors: [false, false],
      ownDescriptor: true,
      verdict: "water is harmless",
      steps: 1,
      doubts: ["[data_loss] the lens was dirty"],
      discarded: true,
      failure: "cancelled 1",
      resumed: "sand is harmless",
      outcome: "sand is harmless",
      statusOfOwn: 1,
      listed: 4,
    });
  });
});

describe("a client's install", { timeout: timeoutMs }, () => {
  let client: string;

  beforeAll(async () => {
    client = await mkdtemp(join(directory, "client-"));
    await run(client, "npm", "install", packed.tarball, "--prefer-offline", "--no-audit");
  }, timeoutMs);

  it("brings uuid and the peers, and nothing else", async () => {
    const folders = await run(client, "npm", "ls", "--all", "--parseable");
    const modules = join(client, "node_modules/");
    const names = folders.trim().split("\n").slice(1);
    expect(names.map((folder) => folder.slice(modules.length)).sort()).toEqual([
      "@bufbuild/protobuf",
      "@connectrpc/connect",
      "connect-longrunning",
      "uuid",
    ]);
  });

  it("has a command that works without any other package", async () => {
    for (const name of ["@bufbuild", "@connectrpc", "uuid"]) {
      await rm(join(client, "node_modules", name), { recursive: true });
    }
    expect(await run(client, "connect-longrunning", "--help")).toContain("Exit codes:");
    const served = spawn("npx", ["connect-longrunning", "serve", "--port", "0"], { cwd: client });
    const exit = once(served, "exit");
    try {
      const [line] = await once(served.stdout.setEncoding("utf8"), "data");
      const url = /^listening on (\S+)\n/.exec(String(line))?.[1] ?? "";
      for (const protocol of ["grpc", "rest"]) {
        const server = ["--server", url, "--protocol", protocol];
        expect(await run(client, "longrunning", "list", ...server)).toContain("NAME");
        const missing = run(client, "connect-longrunning", "get", "operations/none", ...server);
        await expect(missing).rejects.toMatchObject({ cause: { code: 4 } });
      }
    } finally {
      served.kill("SIGTERM");
      await exit;
    }
  });
});

describe("the documents", { timeout: timeoutMs }, () => {
  let guide: string;

  beforeAll(async () => {
    guide = await createGuideProject(directory, packed.tarball);
  }, timeoutMs);

  it("have a guide whose project compiles and runs as described", async () => {
    await run(guide, "buf", "generate");
    await run(guide, "tsc");
    await run(guide, "node", "dist/elsewhere.js");
    const files = await readdir(join(guide, "dist"), { recursive: true });
    const tests = files.filter((path) => path.endsWith(".test.js")).map((path) => `dist/${path}`);
    expect(tests).toHaveLength(8);
    const report = await run(guide, "node", "--test", "--test-reporter=tap", ...tests);
    expect(report).toContain("# pass 21\n# fail 0\n");

    const { lines, exit } = await runServerAndClient(guide);
    expect(lines[0]).toBe("running 0");
    expect(lines).toEqual(
      expect.arrayContaining([
        "succeeded 10",
        "printed 10 pages",
        "the second was cancelled",
        "the third printed 50 pages",
        "batch: 1 printed",
        "batch: 2 printed",
        "batch: 3 printed",
        "the first is succeeded",
      ]),
    );
    expect(exit).toEqual([0, null]);
  });

  it("have a README whose service and client compile and run as shown", async () => {
    const readme = await createReadmeProject(directory, guide);
    await run(readme, "buf", "generate");
    await run(readme, "tsc");
    const { lines, exit } = await runServerAndClient(readme);
    expect(lines[0]).toBe("running 0");
    expect(lines.slice(-2)).toEqual(["succeeded 10", "printed 10 pages"]);
    expect(exit).toEqual([0, null]);
  });
});

describe("the tarball", { timeout: timeoutMs }, () => {
  it("has what its users need and nothing else", async () => {
    const tops = new Set(packed.files.map((path) => path.split("/")[0]));
    const documents = ["ARCHITECTURE", "CHANGELOG", "CONTRIBUTING", "README", "SECURITY"];
    const folders = ["dist", "docs", "examples", "gen", "ops", "proto", "schema", "src"];
    // Files of `bench` and `test` that documents link to.
    const linked = ["bench", "test"];
    const files = ["LICENSE", "package.json", ...documents.map((name) => `${name}.md`)];
    expect([...tops].sort()).toEqual([...files, ...folders, ...linked].sort());
    const outside = packed.files.filter((path) => /^(bench|test)\//.test(path));
    expect(outside).toHaveLength(4);
    const protos = await readdir(join(repository, "proto/google"), { recursive: true });
    const needed = protos.filter((path) => path.endsWith(".proto"));
    expect(packed.files).toEqual(
      expect.arrayContaining(needed.map((path) => `proto/google/${path}`)),
    );
  });

  it("has every file that its documents link to", async () => {
    const pages = packed.files.filter((path) => path.endsWith(".md"));
    expect(pages).toEqual(expect.arrayContaining(["README.md", "docs/README.md"]));
    const isPacked = (path: string) =>
      packed.files.some((file) => file === path || file.startsWith(`${path}/`));
    for (const page of pages) {
      const links = relativeLinksOf(await readFile(join(repository, page), "utf8"));
      const missing = links.filter(({ path }) => {
        return path !== "" && !isPacked(posix.normalize(posix.join(posix.dirname(page), path)));
      });
      expect([page, missing]).toEqual([page, []]);
    }
  });

  it("has types for every module that can be imported, and for CommonJS once more", () => {
    const modules = libraryModules().filter((path) => !path.startsWith("dist/chunks/"));
    expect(modules).toContain("dist/src/index.js");
    const declarations = modules.map((path) => path.replace(/\.js$/, ".d.ts"));
    expect(packed.files).toEqual(expect.arrayContaining(declarations));
    const forCommonJs = declarations
      .filter((path) => !path.startsWith("dist/src/plugin/"))
      .map((path) => path.replace(/^dist\//, "dist/cjs/"));
    expect(packed.files).toEqual(expect.arrayContaining(forCommonJs));
  });

  it("has source maps for all compiled library files, and the sources that they name", async () => {
    const declarations = packed.files.filter((path) => /^dist\/(?!cjs\/).*\.d\.ts$/.test(path));
    const sources = await sourcesOf(...libraryModules(), ...declarations);
    expect(sources).toEqual(expect.arrayContaining(["src/index.ts", "src/client/snapshot.ts"]));
    expect(packed.files).toEqual(expect.arrayContaining(sources));
  });

  it("has no code twice, so that a class is one wherever it is imported from", async () => {
    const sources = await sourcesOf(...libraryModules());
    expect(sources).toContain("src/client/operation-error.ts");
    expect(sources).toEqual([...new Set(sources)]);
  });

  it("has all generated code in one file, which costs node less to open than twelve", async () => {
    // The conformance suite's own proto is for that suite alone.
    const generated = packed.files.filter((path) => /^gen\/(google|grpc)\/.*\.ts$/.test(path));
    const modules = await Promise.all(libraryModules().map((path) => sourcesOf(path)));
    const withGenerated = modules.filter((sources) =>
      sources.some((path) => /^gen\/(google|grpc)\//.test(path)),
    );
    expect(withGenerated).toHaveLength(1);
    expect(withGenerated[0]).toEqual(expect.arrayContaining(generated));
  });

  it("gives publint nothing to say", async () => {
    const tarball = new Uint8Array(await readFile(packed.tarball)).buffer;
    const { messages } = await publint({ pack: { tarball }, strict: true });
    expect(messages).toEqual([]);
  });

  it("gives attw nothing to say", async () => {
    const modules = generatedModules().map((path) => posix.join("gen", path));
    const options = ["--profile", "esm-only", "--include-entrypoints", ...modules];
    await run(repository, "attw", packed.tarball, ...options);
  });
});

describe("the installed package", { timeout: timeoutMs }, () => {
  it("can be imported by plain node, at each of its entry points", async () => {
    const { exports } = await readJson<{ exports: object }>(join(installed, "package.json"));
    // Those with an optional peer, which this project has not installed.
    const optional = ["./opentelemetry"];
    const entries = Object.keys(exports).filter(
      (entry) => !/[*]|[.]json$/.test(entry) && !optional.includes(entry),
    );
    expect(entries).toContain(".");
    entries.push(...generatedModules().map((path) => posix.join("gen", path)));
    const names = entries.map((entry) => posix.join("connect-longrunning", entry));
    const script = `for (const name of ${JSON.stringify(names)}) {
      if (Object.keys(await import(name)).length > 0) console.log(name);
    }`;
    const imported = await run(project, "node", "--input-type=module", "--eval", script);
    expect(imported.trim().split("\n")).toEqual(names);
  });

  it("names the optional peer that an entry point wants and does not find", async () => {
    const script = 'await import("connect-longrunning/opentelemetry")';
    const failed = run(project, "node", "--input-type=module", "--eval", script);
    await expect(failed).rejects.toThrow("Cannot find package '@opentelemetry/api'");
  });

  it("names the package that a store wants and does not find", async () => {
    const script = `
      const { createSqliteStore } = await import("connect-longrunning/store/sqlite");
      await createSqliteStore({ path: "operations.db", driver: "libsql" });`;
    const failed = run(project, "node", "--input-type=module", "--eval", script);
    await expect(failed).rejects.toThrow("npm install libsql");
  });

  it("scale 30, 31: names the package or the Node.js that the dispatcher by Restate needs", async () => {
    const script = `
      const { createRestateDispatcher } = await import("connect-longrunning/dispatcher/restate");
      await createRestateDispatcher({ ingressUrl: "http://127.0.0.1:1", listen: {} });`;
    const failed = run(project, "node", "--input-type=module", "--eval", script);
    const isOld = Number(process.versions.node.split(".")[0]) < 22;
    const need = isOld ? "needs Node.js 22" : "npm install @restatedev/restate-sdk";
    await expect(failed).rejects.toThrow(need);
  });

  it.each([
    ["serve", "--database-url", "postgres://127.0.0.1:1/none", "pg@8 pg-boss@12"],
    ["migrate", "--database-url", "postgres://127.0.0.1:1/none", "pg@8 pg-boss@12"],
    [
      "serve",
      "--metrics-port",
      "0",
      "@opentelemetry/api@1.9 @opentelemetry/sdk-metrics@2 @opentelemetry/exporter-prometheus@0.223",
    ],
  ])("%s %s exits with 2 and one line if its packages are missing", async (...words) => {
    const [command, option, value, packages] = words;
    const failed = run(project, "longrunning", command, option, value);
    const line = `error: ${option} needs packages that are not installed: npm install ${packages}\n`;
    await expect(failed).rejects.toThrow(line);
    await expect(failed).rejects.toMatchObject({ cause: { code: 2, stderr: line } });
    const { peerDependencies } = await readJson<{ peerDependencies: Versions }>(
      join(installed, "package.json"),
    );
    for (const wanted of packages.split(" ")) {
      const [, name = "", version = ""] = /^(@?[^@]+)@(.+)$/.exec(wanted) ?? [];
      expect(peerDependencies[name]?.replace(/^\D+/, "").startsWith(version), wanted).toBe(true);
    }
  });

  it("bundles for a browser at its root, without the server and without node", async () => {
    const { metafile } = await build({
      stdin: { contents: `export * from "connect-longrunning";`, resolveDir: project },
      absWorkingDir: project,
      bundle: true,
      format: "esm",
      platform: "browser",
      // So that they are counted below, where else esbuild would stop at the first.
      external: ["node:*"],
      metafile: true,
      write: false,
    });
    const imports = Object.values(metafile.inputs).flatMap((input) => input.imports);
    expect(imports.filter(({ path }) => path.startsWith("node:"))).toEqual([]);
    const paths = Object.keys(metafile.inputs);
    const ours = "node_modules/connect-longrunning/";
    const modules = paths.filter((path) => path.startsWith(ours));
    const sources = await sourcesOf(...modules.map((path) => path.slice(ours.length)));
    expect(sources).toContain("src/client/operation-handle.ts");
    expect(sources.filter((path) => /^src\/(server|store|testing)\//.test(path))).toEqual([]);
    // And nothing that is not there anyway.
    const packages = ["connect-longrunning", "@connectrpc/connect", "@bufbuild/protobuf"];
    const known = ["<stdin>", ...packages.map((name) => `node_modules/${name}/`)];
    expect(paths.filter((path) => !known.some((start) => path.startsWith(start)))).toEqual([]);
  });
});

/** Its generated code imports google's types from us, and it has no others. */
async function expectTypesOfOurs(project: string): Promise<void> {
  expect(await readdir(join(project, "gen"))).toEqual(["shop"]);
  const code = await readFile(join(project, "gen/shop/v1/shop_pb.ts"), "utf8");
  const imported = [...code.matchAll(/ from "(.*)"/g)].map(([, module]) => module);
  expect(new Set(imported)).toEqual(
    new Set([
      "@bufbuild/protobuf",
      "@bufbuild/protobuf/codegenv2",
      "connect-longrunning/gen/google/api/annotations_pb.js",
      "connect-longrunning/gen/google/longrunning/operations_pb.js",
      "connect-longrunning/gen/google/rpc/status_pb.js",
    ]),
  );
}

/** Runs a project's server and, against it, its client; SIGTERM ends the server. */
async function runServerAndClient(project: string): Promise<{ lines: string[]; exit: unknown[] }> {
  const port = await freePort();
  const environment = { ...process.env, PORT: String(port) };
  const server = spawn("node", ["dist/server.js"], { cwd: project, env: environment });
  const exit = once(server, "exit");
  await once(server.stdout, "data");
  const output = await run(project, "env", `PORT=${port}`, "node", "dist/client.js");
  server.kill("SIGTERM");
  return { lines: output.trim().split("\n"), exit: await exit };
}

/** Returns a port on which no process listens. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  if (address === null || typeof address === "string") throw new Error("no port was given");
  return address.port;
}

/** The output of the fixture's program, which must exit by itself. */
async function outputOf(project: string): Promise<unknown> {
  return JSON.parse(await run(project, "node", "dist/src/main.js"));
}

/** The lower ends of our peer dependencies' ranges. */
async function oldestPeers(): Promise<{ protobuf: string; connect: string }> {
  const { peerDependencies } = await readJson<{ peerDependencies: Versions }>(
    join(installed, "package.json"),
  );
  const lowest = (name: string) => {
    const range = peerDependencies[name];
    expect(range).toMatch(/^\^\d+\.\d+\.\d+$/);
    return String(range).slice(1);
  };
  return { protobuf: lowest("@bufbuild/protobuf"), connect: lowest("@connectrpc/connect") };
}

/** The JavaScript of the package except the command, which is one file that stands alone. */
function libraryModules(): string[] {
  const command = "dist/src/cli/longrunning.js";
  // The console's page, compressed: its module has strings alone, and no source of its own.
  const page = "dist/console/assets.js";
  const modules = packed.files.filter((path) => path.endsWith(".js"));
  expect(modules).toEqual(expect.arrayContaining([command, page]));
  return modules.filter((path) => path !== command && path !== page);
}

/** The sources that the source maps of these files name, as paths in the package. */
async function sourcesOf(...paths: string[]): Promise<string[]> {
  const maps = paths.map(async (path) => {
    const { sources } = await readJson<{ sources: string[] }>(join(installed, `${path}.map`));
    return sources.map((source) => posix.join(posix.dirname(path), source));
  });
  return (await Promise.all(maps)).flat();
}

/** The modules of the generated code that the package has, by their paths in its `gen`. */
function generatedModules(): string[] {
  const folder = "dist/gen/";
  const modules = libraryModules().filter((path) => path.startsWith(folder));
  expect(modules).not.toEqual([]);
  return modules.map((path) => path.slice(folder.length));
}

async function readJson<T>(path: string): Promise<T> {
  return JSON.parse(await readFile(path, "utf8")) as T;
}
