import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FileDescriptorSet } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { plugin } from "../../src/plugin/plugin.js";
import { repository } from "../consumer/support/pack-package.js";
import { createWorkspace, type Files, goldenProtos } from "./support/generate.js";
import { compile, runPlugin } from "./support/run-plugin.js";

let directory: string;
let descriptors: FileDescriptorSet;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "connect-longrunning-plugin-"));
  descriptors = await compile(await createWorkspace(directory, goldenProtos));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

/** The modules that the files import, by specifier. */
function importsOf(files: Files): string[] {
  const imports = Object.values(files).flatMap((text) => [
    ...text.matchAll(/(?: from |require\()"(.*)"/g),
  ]);
  return [...new Set(imports.map(([, module]) => String(module)))].sort();
}

describe("protoc-gen-connect-longrunning", () => {
  it("has the version of the package", async () => {
    const manifest = JSON.parse(await readFile(join(repository, "package.json"), "utf8"));
    expect(`${plugin.name} ${plugin.version}`).toBe(
      `protoc-gen-connect-longrunning v${manifest.version}`,
    );
  });

  it("generates nothing for a file without long-running methods", () => {
    expect(runPlugin(descriptors, "press/v1/paper.proto", "target=ts")).toEqual({});
    expect(runPlugin(descriptors, "google/rpc/status.proto", "target=ts")).toEqual({});
  });

  it("generates nothing for google's Operations, whose methods have no operation_info", () => {
    const file = "google/longrunning/operations.proto";
    expect(runPlugin(descriptors, file, "target=ts")).toEqual({});
  });

  it("generates an empty file for them if keep_empty_files asks for it", () => {
    const options = ["target=ts", "keep_empty_files=true"];
    const files = runPlugin(descriptors, "press/v1/paper.proto", ...options);
    expect(Object.keys(files)).toEqual(["press/v1/paper_longrunning.ts"]);
    expect(importsOf(files)).toEqual([]);
  });

  it("generates JavaScript and declarations where no target is given", () => {
    expect(Object.keys(runPlugin(descriptors, "press/v1/press.proto"))).toEqual([
      "press/v1/press_longrunning.js",
      "press/v1/press_longrunning.d.ts",
    ]);
  });

  it("refuses options that it does not know", () => {
    expect(() => runPlugin(descriptors, "press/v1/press.proto", "taget=ts")).toThrow(
      'invalid option "taget=ts"',
    );
  });

  const relative = (extension: string) => [
    `../../google/rpc/error_details_pb${extension}`,
    `./paper_pb${extension}`,
    `./press_pb${extension}`,
    "@bufbuild/protobuf/wkt",
    "connect-longrunning",
  ];
  it.each([
    { options: ["import_extension=js"], imports: relative(".js") },
    { options: ["import_extension=ts"], imports: relative(".ts") },
    { options: ["import_extension=none"], imports: relative("") },
    { options: [], imports: relative("") },
    { options: ["target=js", "js_import_style=legacy_commonjs"], imports: relative("") },
    {
      options: ["map_imports=google/rpc/:@acme/protos"],
      imports: [
        "./paper_pb",
        "./press_pb",
        "@acme/protos/google/rpc/error_details_pb.js",
        "@bufbuild/protobuf/wkt",
        "connect-longrunning",
      ],
    },
    {
      options: ["rewrite_imports=./google/rpc/*_pb.js:@acme/protos", "import_extension=js"],
      imports: [
        "./paper_pb.js",
        "./press_pb.js",
        "@acme/protos/google/rpc/error_details_pb.js",
        "@bufbuild/protobuf/wkt",
        "connect-longrunning",
      ],
    },
  ])("imports what protoc-gen-es writes with $options", ({ options, imports }) => {
    const files = runPlugin(descriptors, "press/v1/press.proto", "target=ts", ...options);
    expect(importsOf(files)).toEqual([...imports].sort());
  });

  it("exports for CommonJS where it is to", () => {
    const options = ["target=js", "js_import_style=legacy_commonjs"];
    const files = runPlugin(descriptors, "press/v1/press.proto", ...options);
    const text = files["press/v1/press_longrunning.js"];
    expect(text).not.toMatch(/^(import|export) /m);
    expect(text).toContain("exports.PressService_print = PressService_print;");
    expect(text).toContain("exports.PressServiceLongRunning = PressServiceLongRunning;");
  });
});
