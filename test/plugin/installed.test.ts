import { execFile } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { extract } from "tar";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { repository } from "../consumer/support/pack-package.js";
import { run } from "../consumer/support/run.js";
import {
  bufGenerate,
  type Files,
  goldenOptions,
  goldenProtos,
  readFiles,
} from "./support/generate.js";

const timeoutMs = 120_000;
const name = "protoc-gen-connect-longrunning";
const golden = fileURLToPath(new URL("golden", import.meta.url));
const sample = fileURLToPath(new URL("sample", import.meta.url));

const protoc = await promisify(execFile)("protoc", ["--version"]).then(
  ({ stdout }) => stdout.trim(),
  () => undefined,
);
const noProtoc = "protoc is not installed; Debian has it in protobuf-compiler";
if (protoc === undefined) console.warn(`test/plugin: skipped what needs protoc: ${noProtoc}`);

const { tarball } = inject("packedPackage");

let directory: string;
/** A project with the packages that the package needs, and the protos of the golden files. */
let project: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "connect-longrunning-installed-"));
  project = await createProject(["@bufbuild", "@connectrpc", "typescript", "@typescript", "uuid"]);
  await cp(goldenProtos, join(project, "proto"), { recursive: true });
  await cp(sample, join(project, "sample"), { recursive: true });
  await writeJson(join(project, "buf.yaml"), {
    version: "v2",
    modules: [{ path: "proto" }, { path: "node_modules/connect-longrunning/proto" }],
  });
}, timeoutMs);

afterAll(() => rm(directory, { recursive: true, force: true }));

/**
 * Make a project with this package as npm installs it, and `packages` from the
 * repository's node_modules.
 */
async function createProject(packages: readonly string[]): Promise<string> {
  const created = await mkdtemp(join(directory, "project-"));
  await writeJson(join(created, "package.json"), { type: "module" });
  const modules = join(created, "node_modules");
  const installed = join(modules, "connect-longrunning");
  await mkdir(installed, { recursive: true });
  await extract({ file: tarball, cwd: installed, strip: 1 });
  const { bin } = JSON.parse(await readFile(join(installed, "package.json"), "utf8"));
  await chmod(join(installed, bin[name]), 0o755);
  await mkdir(join(modules, ".bin"));
  await symlink(join(installed, bin[name]), join(modules, ".bin", name));
  for (const program of ["buf", "protoc-gen-es", "tsc"]) {
    await symlink(join(repository, "node_modules/.bin", program), join(modules, ".bin", program));
  }
  for (const path of packages) {
    await mkdir(join(modules, path, ".."), { recursive: true });
    await symlink(join(repository, "node_modules", path), join(modules, path));
  }
  return created;
}

function writeJson(path: string, value: unknown): Promise<void> {
  return writeFile(path, JSON.stringify(value));
}

describe("the installed plugin", { timeout: timeoutMs }, () => {
  it("is a program that npm can link", async () => {
    const { version } = JSON.parse(await readFile(join(repository, "package.json"), "utf8"));
    expect(await run(project, name, "--version")).toBe(`${name} v${version}\n`);
  });

  it.each([
    { target: "ts", out: "golden/ts/gen" },
    { target: "js+dts", out: "golden/js/gen" },
  ])("makes code under buf that compiles and runs, target=$target", async ({ target, out }) => {
    const options = [`target=${target}`, ...goldenOptions];
    const generated = await bufGenerate(project, out, name, options);
    expect(generated).toEqual(await readFiles(join(golden, out.replace("golden/", ""))));

    const main = join(project, "sample", `${target}.ts`);
    const text = await readFile(join(sample, "main.ts"), "utf8");
    await writeFile(main, text.replaceAll("../golden/ts/gen/", `../${out}/`));
    const tsconfig = `tsconfig.${target}.json`;
    await writeJson(join(project, tsconfig), {
      compilerOptions: {
        target: "ES2022",
        module: "nodenext",
        lib: ["ES2023", "ESNext.Disposable", "DOM", "DOM.Iterable", "DOM.AsyncIterable"],
        types: [],
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        noPropertyAccessFromIndexSignature: true,
        noUnusedLocals: true,
        verbatimModuleSyntax: true,
        isolatedModules: true,
        erasableSyntaxOnly: true,
        declaration: true,
        skipLibCheck: false,
      },
      include: [`sample/${target}.ts`, out],
    });
    await run(project, "tsc", "-p", tsconfig);
    expect(JSON.parse(await run(project, "node", `sample/${target}.js`))).toEqual({
      printed: 3,
      pagesPrinted: 3,
      deleted: "google.protobuf.Empty",
      reason: "JAMMED",
      bound: 8,
      number: 4,
      built: 1,
    });
  });

  it("makes the same code under protoc", async ({ skip }) => {
    if (protoc === undefined) return skip(noProtoc);
    await mkdir(join(project, "protoc"));
    await run(
      project,
      "protoc",
      ...["-I", "proto", "-I", "node_modules/connect-longrunning/proto"],
      "--connect-longrunning_out=protoc",
      `--connect-longrunning_opt=${["target=ts", ...goldenOptions].join()}`,
      ...["press/v1/paper.proto", "press/v1/press.proto", "names/v1/names.proto"],
    );
    const expected = await readFiles(join(golden, "ts/gen"));
    expect(await readFiles(join(project, "protoc"))).toEqual(onlyOurs(expected));
  });

  const fault =
    "faulty.proto:5:3: FaultyService/Fail returns google.longrunning.Operation but has no operation_info";

  it("fails buf with the place and the fault", async () => {
    const faulty = await createFaulty();
    await expect(bufGenerate(faulty, "gen", name, [])).rejects.toThrow(fault);
  });

  it("fails protoc with the place and the fault", async ({ skip }) => {
    if (protoc === undefined) return skip(noProtoc);
    const faulty = await createFaulty();
    const includes = ["-I", "proto", "-I", "node_modules/connect-longrunning/proto"];
    await expect(
      run(faulty, "protoc", ...includes, "--connect-longrunning_out=.", "faulty.proto"),
    ).rejects.toThrow(fault);
  });

  it("names the package to install where @bufbuild/protoplugin is missing", async () => {
    const without = await createProject(["@bufbuild/protobuf"]);
    const failed = run(without, name, "--version");
    await expect(failed).rejects.toMatchObject({ cause: { code: 1 } });
    await expect(failed).rejects.toThrow(
      `${name} needs the package @bufbuild/protoplugin, which is not installed: npm install`,
    );
    await expect(failed).rejects.not.toThrow("    at ");
  });
});

/** A project whose one .proto file has a fault. */
async function createFaulty(): Promise<string> {
  const faulty = await createProject(["@bufbuild"]);
  await cp(join(project, "buf.yaml"), join(faulty, "buf.yaml"));
  await mkdir(join(faulty, "proto"));
  const lines = [
    'syntax = "proto3";',
    'import "google/longrunning/operations.proto";',
    "message Nothing {}",
    "service FaultyService {",
    "  rpc Fail(Nothing) returns (google.longrunning.Operation);",
    "}",
  ];
  await writeFile(join(faulty, "proto/faulty.proto"), lines.join("\n"));
  return faulty;
}

function onlyOurs(files: Files): Files {
  return Object.fromEntries(Object.entries(files).filter(([path]) => !path.includes("_pb.")));
}
