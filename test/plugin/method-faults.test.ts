import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clone } from "@bufbuild/protobuf";
import { type FileDescriptorSet, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWorkspace } from "./support/generate.js";
import { compile, runPlugin } from "./support/run-plugin.js";

/** A declaration of a method, and its error message after its place and name. */
interface Row {
  fault: string;
  rpc: string;
  says: string;
}

/** A unary method with this in its `operation_info`. */
const withInfo = (info: string) =>
  `rpc Bake(Flour) returns (google.longrunning.Operation) {
    option (google.longrunning.operation_info) = {${info}};
  }`;

const nowhere = (field: string, name: string) =>
  `has operation_info with ${field} "${name}", which is not the full name of a message in this ` +
  "file or in one that it imports (AIP-4210); ";

const spelling =
  "import the file that has it, or correct the name, which must be a full one unless the type " +
  "is in the method's own package";

const rows: Row[] = [
  {
    fault: "AIP-4210: no operation_info",
    rpc: "rpc Bake(Flour) returns (google.longrunning.Operation);",
    says:
      "returns google.longrunning.Operation but has no operation_info (AIP-4210); write: " +
      "option (google.longrunning.operation_info) = " +
      '{ response_type: "BakeResponse" metadata_type: "BakeMetadata" };',
  },
  {
    fault: "AIP-4210: no response_type",
    rpc: withInfo('metadata_type: "Flour"'),
    says:
      "has operation_info without response_type (AIP-4210); name the message that " +
      'Operation.response holds, as in response_type: "BakeResponse"',
  },
  {
    fault: "AIP-4210: no metadata_type",
    rpc: withInfo('response_type: "Flour"'),
    says:
      "has operation_info without metadata_type (AIP-4210); name the message that " +
      'Operation.metadata holds, as in metadata_type: "BakeMetadata"',
  },
  {
    fault: "AIP-4210: a type in a file that is not imported",
    rpc: withInfo('response_type: "cellar.v1.Wine" metadata_type: "Flour"'),
    says: `${nowhere("response_type", "cellar.v1.Wine")}write: import "cellar/v1/cellar.proto";`,
  },
  {
    fault: "AIP-4210: a name without a dot, of another file of the package",
    rpc: withInfo('response_type: "Flour" metadata_type: "Salt"'),
    says: `${nowhere("metadata_type", "bakery.v1.Salt")}write: import "bakery/v1/salt.proto";`,
  },
  {
    fault: "AIP-4210: a name without a dot that another package has, and not the method's",
    rpc: withInfo('response_type: "Flour" metadata_type: "Wine"'),
    says: `${nowhere("metadata_type", "bakery.v1.Wine")}${spelling}`,
  },
  {
    fault: "AIP-4210: a type that is nowhere",
    rpc: withInfo('response_type: "elsewhere.v1.Bread" metadata_type: "Flour"'),
    says: `${nowhere("response_type", "elsewhere.v1.Bread")}${spelling}`,
  },
  {
    fault: "AIP-4210: a nested type named without the package",
    rpc: withInfo('response_type: "Flour.Grain" metadata_type: "Flour"'),
    says: `${nowhere("response_type", "Flour.Grain")}write its full name: "bakery.v1.Flour.Grain"`,
  },
  {
    fault: "AIP-4210: a nested type, by its name alone",
    rpc: withInfo('response_type: "Grain" metadata_type: "Flour"'),
    says: `${nowhere("response_type", "bakery.v1.Grain")}write its full name: "bakery.v1.Flour.Grain"`,
  },
  {
    fault: "AIP-4210: a name with a dot in front, as protoc has it",
    rpc: withInfo('response_type: ".bakery.v1.Flour" metadata_type: "Flour"'),
    says: `${nowhere("response_type", ".bakery.v1.Flour")}write its full name: "bakery.v1.Flour"`,
  },
  {
    fault: "operations.proto: operation_info names a message, and this is an enum",
    rpc: withInfo('response_type: "Grade" metadata_type: "Flour"'),
    says: `${nowhere("response_type", "bakery.v1.Grade")}${spelling}`,
  },
  ...[
    "rpc Bake(Flour) returns (stream google.longrunning.Operation);",
    "rpc Bake(stream Flour) returns (google.longrunning.Operation);",
    "rpc Bake(stream Flour) returns (stream google.longrunning.Operation);",
    withInfo('response_type: "Flour" metadata_type: "Flour"').replace("(Flour)", "(stream Flour)"),
  ].map((rpc) => ({
    fault: `AIP-151: ${rpc.split(" {", 1)}`,
    rpc,
    says:
      "streams, but a method that returns google.longrunning.Operation is unary (AIP-151); " +
      "remove the keyword stream",
  })),
  {
    fault: "operations.proto: operation_info is for methods that return Operation",
    rpc: withInfo('response_type: "Flour" metadata_type: "Flour"').replace(
      "google.longrunning.Operation)",
      "Flour)",
    ),
    says:
      "has operation_info but returns bakery.v1.Flour; let it return " +
      "google.longrunning.Operation, or remove the option",
  },
];

const fileOf = (rpc: string, index: number) => `syntax = "proto3";
package bakery.v1;
import "google/longrunning/operations.proto";
import "bakery/v1/flour.proto";
service Bakery${index} {
  rpc Grind(Flour) returns (Flour);
  ${rpc}
}
`;

let directory: string;
let descriptors: FileDescriptorSet;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "connect-longrunning-faults-"));
  const faulty = rows.map(({ rpc }, index) => [`bakery/v1/${index}.proto`, fileOf(rpc, index)]);
  const workspace = await createWorkspace(directory, {
    ...Object.fromEntries(faulty),
    "bakery/v1/flour.proto":
      'syntax = "proto3"; package bakery.v1; message Flour { message Grain {} } enum Grade { A = 0; }',
    "bakery/v1/salt.proto": 'syntax = "proto3"; package bakery.v1; message Salt {}',
    "cellar/v1/cellar.proto": 'syntax = "proto3"; package cellar.v1; message Wine {}',
    "bakery/v1/two.proto": fileOf(
      `rpc Bake(Flour) returns (google.longrunning.Operation);
      ${withInfo('response_type: "Dough"').replace("Bake", "Knead")}`,
      rows.length,
    ),
    "plain.proto": `syntax = "proto3";
      import "google/longrunning/operations.proto";
      message Flour {}
      service Bakery { ${withInfo('response_type: "Flour" metadata_type: "Flour"')} }`,
  });
  descriptors = await compile(workspace);
});

afterAll(() => rm(directory, { recursive: true, force: true }));

describe("the plugin's error for", () => {
  it.each(rows.map((row, index) => ({ ...row, index })))("$fault", ({ says, index }) => {
    const file = `bakery/v1/${index}.proto`;
    expect(() => runPlugin(descriptors, file)).toThrow(
      new Error(`${file}:7:3: bakery.v1.Bakery${index}/Bake ${says}`),
    );
  });

  it("several faults: all of them, each in its line", () => {
    const lines = errorOf(() => runPlugin(descriptors, "bakery/v1/two.proto")).split("\n");
    expect(lines.map((line) => line.split(" ", 4).join(" "))).toEqual([
      `bakery/v1/two.proto:7:3: bakery.v1.Bakery${rows.length}/Bake returns google.longrunning.Operation`,
      `bakery/v1/two.proto:8:7: bakery.v1.Bakery${rows.length}/Knead has operation_info`,
      `bakery/v1/two.proto:8:7: bakery.v1.Bakery${rows.length}/Knead has operation_info`,
    ]);
  });

  it("a method in descriptors without source code: its file's name alone", () => {
    const stripped = clone(FileDescriptorSetSchema, descriptors);
    for (const file of stripped.file) file.sourceCodeInfo = undefined;
    expect(() => runPlugin(stripped, "bakery/v1/0.proto")).toThrow(
      "bakery/v1/0.proto: bakery.v1.Bakery0/Bake returns",
    );
  });

  it("a file without a package, in order: nothing", () => {
    expect(Object.keys(runPlugin(descriptors, "plain.proto", "target=ts"))).toEqual([
      "plain_longrunning.ts",
    ]);
  });
});

function errorOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error("nothing was thrown");
}
