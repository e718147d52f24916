import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import {
  clearExtension,
  createFileRegistry,
  type DescExtension,
  type DescMessage,
  type FileRegistry,
  fromBinary,
  fromJson,
  isFieldSet,
  type MessageShape,
  setExtension,
  toJson,
} from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  EnumOptionsSchema,
  EnumValueOptionsSchema,
  type FieldDescriptorProto,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  FieldOptionsSchema,
  type FileDescriptorProto,
  type FileDescriptorSet,
  FileDescriptorSetSchema,
  FileOptionsSchema,
  MessageOptionsSchema,
  type MethodDescriptorProto,
  MethodOptionsSchema,
  OneofOptionsSchema,
  type ServiceDescriptorProto,
  ServiceOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import { beforeAll, describe, expect, it } from "vitest";

/**
 * Differences between our protos and Google's that we want to keep, as
 * `differencesBetween` words them, each with its reason in a comment. An entry
 * without a difference fails the test too.
 */
const acceptedDifferences: readonly string[] = [
  // In grpc-proto, and not in the copy that grpc-health-check ships.
  'grpc/health/v1/health.proto[objcClassPrefix]: option "GrpcHealthV1" / absent',
];

const root = fileURLToPath(new URL("../..", import.meta.url));
const ourDirectory = "proto";
/** Where their owners publish the same files on npm, and the part of our path that they leave out. */
const theirDirectories = [
  { of: "google/", directory: "node_modules/google-gax/build/protos", without: "" },
  { of: "grpc/health/", directory: "node_modules/grpc-health-check/proto", without: "grpc/" },
  { of: "grpc/reflection/", directory: "node_modules/@grpc/reflection/build/proto", without: "" },
];

let fileNames: string[];
let ourBytes: Uint8Array;
let ours: Facts;
let theirs: Facts;

beforeAll(async () => {
  const entries = await readdir(`${root}/${ourDirectory}`, { recursive: true });
  fileNames = entries
    .map((entry) => entry.replaceAll("\\", "/"))
    // The driver of the conformance suite is the only package of this repository.
    .filter((entry) => entry.endsWith(".proto") && !entry.startsWith("longrunning/"))
    .sort();
  const theirDirectory = await mkdtemp(join(tmpdir(), "protos-"));
  try {
    await Promise.all(fileNames.map((name) => copyTheirs(name, theirDirectory)));
    let theirBytes: Uint8Array;
    [ourBytes, theirBytes] = await Promise.all([
      compile(join(root, ourDirectory)),
      compile(theirDirectory),
    ]);
    ours = factsOf(decode(ourBytes));
    theirs = factsOf(decode(theirBytes));
  } finally {
    await rm(theirDirectory, { recursive: true });
  }
}, 60_000);

describe("proto/", () => {
  it("is what Google and gRPC publish: every name, number, type and option", () => {
    expect(differencesBetween(ours, theirs)).toEqual(acceptedDifferences);
  });

  it("is compared as a whole, without an option left unread", () => {
    for (const facts of [ours, theirs]) {
      expect(countOf(facts, "file")).toBe(fileNames.length);
      expect(countOf(facts, "message")).toBeGreaterThanOrEqual(56);
      expect(countOf(facts, "field")).toBeGreaterThanOrEqual(169);
      expect(countOf(facts, "oneof")).toBeGreaterThanOrEqual(3);
      expect(countOf(facts, "enum")).toBeGreaterThanOrEqual(7);
      expect(countOf(facts, "value")).toBeGreaterThanOrEqual(54);
      expect(countOf(facts, "extension")).toBeGreaterThanOrEqual(8);
      expect(countOf(facts, "service")).toBe(3);
      expect(countOf(facts, "method")).toBe(9);
      expect(countOf(facts, "option")).toBeGreaterThanOrEqual(80);
      expect([...facts.keys()].filter((path) => path.includes("[unknown"))).toEqual([]);
    }
  });

  // One row per kind of fact, to show that the flattening reads what it says.
  it.each([
    ["google/rpc/status.proto", "file proto3 google.rpc"],
    ["google.longrunning.ListOperationsRequest.name", "field 4 string singular json=name"],
    ["google.longrunning.Operation.result", "oneof"],
    [
      "google.longrunning.Operation.error",
      "field 4 .google.rpc.Status singular json=error oneof=result",
    ],
    [
      "google.rpc.QuotaFailure.Violation.future_quota_value",
      "field 8 int64 optional json=futureQuotaValue oneof=_future_quota_value",
    ],
    ["google.rpc.ErrorInfo.MetadataEntry[mapEntry]", "option true"],
    ["google.rpc.Code.UNAUTHENTICATED", "value 16"],
    [
      "google.longrunning.operation_info",
      "extension 1049 .google.longrunning.OperationInfo singular json=operationInfo of .google.protobuf.MethodOptions",
    ],
    [
      "google.longrunning.Operations.WaitOperation",
      "method .google.longrunning.WaitOperationRequest -> .google.longrunning.Operation",
    ],
    [
      "google.longrunning.Operations.CancelOperation[google.api.http]",
      'option {"post":"/v1/{name=operations/**}:cancel","body":"*"}',
    ],
    [
      "google.longrunning.Operations.ListOperations[google.api.method_signature]",
      'option ["name,filter"]',
    ],
    [
      "google.longrunning.Operations[google.api.default_host]",
      'option "longrunning.googleapis.com"',
    ],
    [
      "grpc.health.v1.Health.Watch",
      "method .grpc.health.v1.HealthCheckRequest -> stream .grpc.health.v1.HealthCheckResponse",
    ],
    [
      "grpc.reflection.v1.ServerReflectionRequest.file_containing_extension",
      "field 5 .grpc.reflection.v1.ExtensionRequest singular json=fileContainingExtension oneof=message_request",
    ],
    [
      "google.longrunning.ListOperationsResponse.unreachable[google.api.field_behavior]",
      'option ["UNORDERED_LIST"]',
    ],
    ["google.api.field_behavior[packed]", "option false"],
    ["google.api.CommonLanguageSettings.reference_docs_uri[deprecated]", "option true"],
  ])("has %s: %s", (path, fact) => {
    expect(ours.get(path)).toBe(fact);
    expect(theirs.get(path)).toBe(fact);
  });
});

describe("the comparison", () => {
  /** A change to our descriptors, and the paths at which it must be noticed. */
  const changes: [string, (set: FileDescriptorSet, registry: FileRegistry) => void, string[]][] = [
    [
      "a field with another number",
      (set) => {
        field(set, "Operation", "done").number = 6;
      },
      ["google.longrunning.Operation.done"],
    ],
    [
      "a field of another type",
      (set) => {
        field(set, "ListOperationsRequest", "page_size").type = FieldDescriptorProto_Type.INT64;
      },
      ["google.longrunning.ListOperationsRequest.page_size"],
    ],
    [
      "a field that is not repeated any more",
      (set) => {
        field(set, "ListOperationsResponse", "operations").label =
          FieldDescriptorProto_Label.OPTIONAL;
      },
      ["google.longrunning.ListOperationsResponse.operations"],
    ],
    [
      "a field with another JSON name",
      (set) => {
        field(set, "OperationInfo", "response_type").jsonName = "type";
      },
      ["google.longrunning.OperationInfo.response_type"],
    ],
    [
      "a renamed field",
      (set) => {
        field(set, "WaitOperationRequest", "timeout").name = "time";
      },
      [
        "google.longrunning.WaitOperationRequest.time",
        "google.longrunning.WaitOperationRequest.timeout",
      ],
    ],
    [
      "a field that lost its options",
      (set) => {
        field(set, "ListOperationsResponse", "unreachable").options = undefined;
      },
      ["google.longrunning.ListOperationsResponse.unreachable[google.api.field_behavior]"],
    ],
    [
      "a field of a map entry",
      (set) => {
        const entry = required(message(set, "error_details.proto", "ErrorInfo").nestedType[0]);
        required(entry.field[1]).type = FieldDescriptorProto_Type.BYTES;
      },
      ["google.rpc.ErrorInfo.MetadataEntry.value"],
    ],
    [
      "a missing message",
      (set) => {
        const declared = file(set, "google/rpc/error_details.proto").messageType;
        declared.splice(declared.indexOf(message(set, "error_details.proto", "RequestInfo")), 1);
      },
      [
        "google.rpc.RequestInfo",
        "google.rpc.RequestInfo.request_id",
        "google.rpc.RequestInfo.serving_data",
      ],
    ],
    [
      "a renamed enum value",
      (set) => {
        const code = required(file(set, "google/rpc/code.proto").enumType[0]);
        required(code.value.find((value) => value.name === "CANCELLED")).name = "CANCELED";
      },
      ["google.rpc.Code.CANCELED", "google.rpc.Code.CANCELLED"],
    ],
    [
      "a streaming method",
      (set) => {
        method(set, "WaitOperation").serverStreaming = true;
      },
      ["google.longrunning.Operations.WaitOperation"],
    ],
    [
      "a method with another HTTP path",
      (set, registry) => {
        const http = extension(registry, "google.api.http");
        const rule = fromJson(required(http.message), { get: "/v2/{name=operations/**}" });
        setExtension(required(method(set, "GetOperation").options), http, rule);
      },
      ["google.longrunning.Operations.GetOperation[google.api.http]"],
    ],
    [
      "a method with an additional HTTP binding",
      (set, registry) => {
        const http = extension(registry, "google.api.http");
        const rule = fromJson(required(http.message), {
          delete: "/v1/{name=operations/**}",
          additionalBindings: [{ delete: "/v2/{name=operations/**}" }],
        });
        setExtension(required(method(set, "DeleteOperation").options), http, rule);
      },
      ["google.longrunning.Operations.DeleteOperation[google.api.http]"],
    ],
    [
      "a method without its signature",
      (set, registry) => {
        const signature = extension(registry, "google.api.method_signature");
        clearExtension(required(method(set, "ListOperations").options), signature);
      },
      ["google.longrunning.Operations.ListOperations[google.api.method_signature]"],
    ],
    [
      "a service with another host and with scopes",
      (set, registry) => {
        const options = required(service(set).options);
        setExtension(options, extension(registry, "google.api.default_host"), "example.com");
        setExtension(options, extension(registry, "google.api.oauth_scopes"), "scope");
      },
      [
        "google.longrunning.Operations[google.api.default_host]",
        "google.longrunning.Operations[google.api.oauth_scopes]",
      ],
    ],
    [
      "an extension with another number, and the option that cannot be read any more",
      (set) => {
        required(file(set, "google/api/field_behavior.proto").extension[0]).number = 1053;
      },
      [
        "google.api.field_behavior",
        "google.longrunning.ListOperationsResponse.unreachable[google.api.field_behavior]",
        "google.longrunning.ListOperationsResponse.unreachable[unknown 1052]",
      ],
    ],
    [
      "a file with another option",
      (set) => {
        required(file(set, "google/rpc/status.proto").options).goPackage = "example.com/status";
      },
      ["google/rpc/status.proto[goPackage]"],
    ],
  ];

  it.each(changes)("notices %s", (_what, change, paths) => {
    const set = decode(ourBytes);
    change(set, createFileRegistry(decode(ourBytes)));
    const changed = factsOf(set);
    const pathsOf = (differences: string[]) => differences.map((d) => d.slice(0, d.indexOf(": ")));
    expect(pathsOf(differencesBetween(changed, ours))).toEqual(paths);
    expect(pathsOf(differencesBetween(ours, changed))).toEqual(paths);
  });
});

/** Maps the path of a declaration or option to its facts in one line. */
type Facts = Map<string, string>;

function differencesBetween(left: Facts, right: Facts): string[] {
  return [...new Set([...left.keys(), ...right.keys()])]
    .filter((path) => left.get(path) !== right.get(path))
    .sort()
    .map((path) => `${path}: ${left.get(path) ?? "absent"} / ${right.get(path) ?? "absent"}`);
}

function countOf(facts: Facts, kind: string): number {
  return [...facts.values()].filter((fact) => fact.split(" ")[0] === kind).length;
}

/** Facts about the files that are ours to write, but not about their imports. */
function factsOf(set: FileDescriptorSet): Facts {
  const registry = createFileRegistry(set);
  const facts: Facts = new Map();
  for (const name of fileNames) addFile(file(set, name));
  return facts;

  function add(path: string, fact: string) {
    if (facts.has(path)) throw new Error(`${path} is declared twice`);
    facts.set(path, fact);
  }

  function addFile(file: FileDescriptorProto) {
    add(file.name, `file ${file.syntax} ${file.package}`);
    addOptions(file.name, FileOptionsSchema, file.options);
    for (const message of file.messageType) addMessage(file.package, message);
    for (const declared of file.enumType) addEnum(file.package, declared);
    for (const service of file.service) addService(file.package, service);
    for (const extension of file.extension) addExtension(file.package, extension);
  }

  function addMessage(scope: string, message: DescriptorProto) {
    const path = `${scope}.${message.name}`;
    add(path, "message");
    addOptions(path, MessageOptionsSchema, message.options);
    for (const oneof of message.oneofDecl) {
      add(`${path}.${oneof.name}`, "oneof");
      addOptions(`${path}.${oneof.name}`, OneofOptionsSchema, oneof.options);
    }
    for (const field of message.field) {
      // Zero is a valid index, so absence has to be asked for.
      const inOneof = isFieldSet(field, FieldDescriptorProtoSchema.field.oneofIndex);
      const oneof = inOneof ? ` oneof=${message.oneofDecl[field.oneofIndex]?.name}` : "";
      add(`${path}.${field.name}`, `field ${shapeOf(field)}${oneof}`);
      addOptions(`${path}.${field.name}`, FieldOptionsSchema, field.options);
    }
    for (const nested of message.nestedType) addMessage(path, nested);
    for (const nested of message.enumType) addEnum(path, nested);
    for (const nested of message.extension) addExtension(path, nested);
  }

  function addEnum(scope: string, declared: EnumDescriptorProto) {
    const path = `${scope}.${declared.name}`;
    add(path, "enum");
    addOptions(path, EnumOptionsSchema, declared.options);
    for (const value of declared.value) {
      add(`${path}.${value.name}`, `value ${value.number}`);
      addOptions(`${path}.${value.name}`, EnumValueOptionsSchema, value.options);
    }
  }

  function addService(scope: string, service: ServiceDescriptorProto) {
    const path = `${scope}.${service.name}`;
    add(path, "service");
    addOptions(path, ServiceOptionsSchema, service.options);
    for (const method of service.method) {
      const input = `${method.clientStreaming ? "stream " : ""}${method.inputType}`;
      const output = `${method.serverStreaming ? "stream " : ""}${method.outputType}`;
      add(`${path}.${method.name}`, `method ${input} -> ${output}`);
      addOptions(`${path}.${method.name}`, MethodOptionsSchema, method.options);
    }
  }

  function addExtension(scope: string, extension: FieldDescriptorProto) {
    const path = `${scope}.${extension.name}`;
    add(path, `extension ${shapeOf(extension)} of ${extension.extendee}`);
    addOptions(path, FieldOptionsSchema, extension.options);
  }

  /**
   * One fact per option that is set, custom ones included. These are extensions,
   * which come as unknown fields and are readable only through the registry.
   */
  function addOptions<Desc extends DescMessage>(
    path: string,
    schema: Desc,
    options: MessageShape<Desc> | undefined,
  ) {
    if (options === undefined) return;
    const json = Object(toJson(schema, options, { registry })) as Record<string, unknown>;
    for (const [name, value] of Object.entries(json)) {
      // JSON puts the names of extensions, but no others, in brackets.
      const suffix = name.startsWith("[") ? name : `[${name}]`;
      add(`${path}${suffix}`, `option ${JSON.stringify(value)}`);
    }
    // toJson leaves out what the registry does not know; a comparison must not.
    const unknown = (options.$unknown ?? []).filter(
      ({ no }) => registry.getExtensionFor(schema, no) === undefined,
    );
    for (const no of new Set(unknown.map((field) => field.no))) {
      const data = unknown.filter((field) => field.no === no).map((field) => field.data);
      add(`${path}[unknown ${no}]`, `option 0x${Buffer.concat(data).toString("hex")}`);
    }
  }
}

function shapeOf(field: FieldDescriptorProto): string {
  const type = field.typeName || FieldDescriptorProto_Type[field.type].toLowerCase();
  const label = field.proto3Optional
    ? "optional"
    : field.label === FieldDescriptorProto_Label.OPTIONAL
      ? "singular"
      : FieldDescriptorProto_Label[field.label].toLowerCase();
  return `${field.number} ${type} ${label} json=${field.jsonName}`;
}

/** Copies one of their files to the path that ours has. */
async function copyTheirs(name: string, to: string): Promise<void> {
  const { directory, without } = required(theirDirectories.find(({ of }) => name.startsWith(of)));
  await mkdir(dirname(join(to, name)), { recursive: true });
  await copyFile(join(root, directory, name.slice(without.length)), join(to, name));
}

/** Compiles our list of files, as found in a directory, with their imports. */
async function compile(directory: string): Promise<Uint8Array> {
  const paths = fileNames.flatMap((name) => ["--path", join(directory, name)]);
  const args = ["build", directory, ...paths, "--exclude-source-info", "-o", "-#format=binpb"];
  const options = { cwd: root, encoding: "buffer", maxBuffer: 16 * 1024 * 1024 } as const;
  const { stdout } = await promisify(execFile)("node_modules/.bin/buf", args, options);
  return stdout;
}

function decode(bytes: Uint8Array): FileDescriptorSet {
  return fromBinary(FileDescriptorSetSchema, bytes);
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("not found");
  return value;
}

function file(set: FileDescriptorSet, name: string): FileDescriptorProto {
  return required(set.file.find((file) => file.name === name));
}

function message(set: FileDescriptorSet, fileSuffix: string, name: string): DescriptorProto {
  const declared = set.file.filter((file) => file.name.endsWith(fileSuffix));
  return required(declared.flatMap((f) => f.messageType).find((message) => message.name === name));
}

/** A field of a message in operations.proto. */
function field(set: FileDescriptorSet, messageName: string, name: string): FieldDescriptorProto {
  const { field } = message(set, "longrunning/operations.proto", messageName);
  return required(field.find((field) => field.name === name));
}

function service(set: FileDescriptorSet): ServiceDescriptorProto {
  return required(file(set, "google/longrunning/operations.proto").service[0]);
}

function method(set: FileDescriptorSet, name: string): MethodDescriptorProto {
  return required(service(set).method.find((method) => method.name === name));
}

function extension(registry: FileRegistry, typeName: string): DescExtension {
  return required(registry.getExtension(typeName));
}
