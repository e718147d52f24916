import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { create, createFileRegistry, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, it } from "vitest";
import { file_archive_v1_archive } from "../../examples/archive/gen/archive/v1/archive_pb.js";
import { createServer, type Server, type ServerAddress } from "../../src/node/index.js";
import {
  Operations,
  ServerReflection,
  type ServerReflectionRequestSchema,
  type ServerReflectionResponse,
} from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { run } from "../consumer/support/run.js";
import { PrintService } from "../gen/printing/v1/printing_pb.js";
import { openForeignService } from "../support/foreign-service.js";
import { Print } from "../support/print-server.js";

type Question = MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"];

const root = fileURLToPath(new URL("../..", import.meta.url));

let server: Server;
let address: ServerAddress;
let sessionManager: Http2SessionManager;

beforeAll(async () => {
  const operations = createOperations();
  const print = operations.handle(Print, async ({ request }) => ({ pages: request.pages }));
  server = createServer({
    routes(router) {
      router.service(PrintService, { print });
      router.service(Operations, operations.service);
    },
    operations,
    reflection: { files: [file_archive_v1_archive] },
  });
  address = await server.listen();
  sessionManager = new Http2SessionManager(address.url);
});

afterAll(async () => {
  sessionManager.abort();
  await server.close({ graceMs: 0 });
});

/** Ask on one stream, in turn. */
async function ask(
  ...questions: Question[]
): Promise<ServerReflectionResponse["messageResponse"][]> {
  const transport = createGrpcTransport({ baseUrl: address.url, sessionManager });
  async function* requests() {
    for (const messageRequest of questions) yield { host: "h", messageRequest };
  }
  const answers: ServerReflectionResponse["messageResponse"][] = [];
  const client = createClient(ServerReflection, transport);
  for await (const response of client.serverReflectionInfo(requests())) {
    assert.equal(response.validHost, "h");
    const asked = questions[answers.push(response.messageResponse) - 1];
    assert.equal(response.originalRequest?.messageRequest.case, asked?.case);
  }
  return answers;
}

/** The files in an answer. */
function filesOf(answer?: ServerReflectionResponse["messageResponse"]): FileDescriptorProto[] {
  if (answer?.case !== "fileDescriptorResponse") throw new TypeError(`not files: ${answer?.case}`);
  return answer.value.fileDescriptorProto.map((bytes) =>
    fromBinary(FileDescriptorProtoSchema, bytes),
  );
}

describe("ServerReflectionInfo", () => {
  it("lists all services, its own and health among them", async () => {
    const [answer] = await ask({ case: "listServices", value: "" });
    assert.ok(answer?.case === "listServicesResponse");
    assert.deepEqual(
      answer.value.service.map(({ name }) => name),
      [
        "google.longrunning.Operations",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "printing.v1.PrintService",
      ],
    );
  });

  it.each([
    ["a service", "printing.v1.PrintService", "printing/v1/printing.proto"],
    ["a method", "printing.v1.PrintService.Print", "printing/v1/printing.proto"],
    ["a message", "printing.v1.PrintRequest", "printing/v1/printing.proto"],
    ["a nested message", "printing.v1.PrintResponse.Tray", "printing/v1/printing.proto"],
    ["a field", "printing.v1.PrintRequest.request_id", "printing/v1/printing.proto"],
    ["a oneof", "google.longrunning.Operation.result", "google/longrunning/operations.proto"],
    ["an extension", "google.api.http", "google/api/annotations.proto"],
    ["an enum", "google.api.FieldBehavior", "google/api/field_behavior.proto"],
    ["an enum's value", "google.api.REQUIRED", "google/api/field_behavior.proto"],
    [
      "a nested enum's value",
      "grpc.health.v1.HealthCheckResponse.SERVING",
      "grpc/health/v1/health.proto",
    ],
    ["an error's details", "google.rpc.ErrorInfo", "google/rpc/error_details.proto"],
    [
      "a response type of operation_info",
      "printing.v1.PrintResponse",
      "printing/v1/printing.proto",
    ],
    [
      "a metadata type of another file",
      "google.protobuf.Timestamp",
      "google/protobuf/timestamp.proto",
    ],
    ["what only an extra file has", "archive.v1.CompressMetadata", "archive/v1/archive.proto"],
  ])("finds the file of %s", async (_, value, file) => {
    const [answer] = await ask({ case: "fileContainingSymbol", value });
    assert.equal(filesOf(answer)[0]?.name, file);
  });

  it("returns a file with all its imports, which together are complete", async () => {
    const [answer] = await ask({ case: "fileByFilename", value: "printing/v1/printing.proto" });
    const files = filesOf(answer);
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: files.reverse() }));
    const method = registry.getService("printing.v1.PrintService")?.method.print;
    assert.equal(method?.output.typeName, "google.longrunning.Operation");
    const info = registry.getExtension("google.longrunning.operation_info");
    assert.equal(info?.number, 1049);
  });

  it("leaves out the imports that the stream has had, and never the file asked for", async () => {
    const value = "google/longrunning/operations.proto";
    const [first, second] = await ask(
      { case: "fileByFilename", value },
      { case: "fileByFilename", value },
    );
    assert.ok(filesOf(first).length > 5);
    assert.deepEqual(
      filesOf(second).map(({ name }) => name),
      [value],
    );
  });

  it("finds an extension by its number, and the numbers of a message's extensions", async () => {
    const containingType = "google.protobuf.MethodOptions";
    const [file, numbers, none] = await ask(
      { case: "fileContainingExtension", value: { containingType, extensionNumber: 1049 } },
      { case: "allExtensionNumbersOfType", value: containingType },
      { case: "allExtensionNumbersOfType", value: "printing.v1.PrintRequest" },
    );
    assert.equal(filesOf(file)[0]?.name, "google/longrunning/operations.proto");
    assert.ok(numbers?.case === "allExtensionNumbersResponse");
    assert.equal(numbers.value.baseTypeName, containingType);
    assert.deepEqual(
      numbers.value.extensionNumber.toSorted((a, b) => a - b),
      [1049, 1051, 72295728],
    );
    assert.ok(none?.case === "allExtensionNumbersResponse");
    assert.deepEqual(none.value.extensionNumber, []);
  });

  it.each<[string, Question, Code]>([
    ["a file", { case: "fileByFilename", value: "no.proto" }, Code.NotFound],
    ["a symbol", { case: "fileContainingSymbol", value: "constructor" }, Code.NotFound],
    [
      "an extension",
      {
        case: "fileContainingExtension",
        value: { containingType: "google.protobuf.MethodOptions", extensionNumber: 1 },
      },
      Code.NotFound,
    ],
    ["a message", { case: "allExtensionNumbersOfType", value: "no.Message" }, Code.NotFound],
    ["nothing", { case: undefined }, Code.InvalidArgument],
  ])("answers with an error for %s that is not there, and goes on", async (_, question, code) => {
    const [error, next] = await ask(question, { case: "listServices", value: "" });
    assert.ok(error?.case === "errorResponse");
    assert.equal(error.value.errorCode, code);
    assert.equal(next?.case, "listServicesResponse");
  });
});

describe("grpc-js", () => {
  it("asks which services there are", async () => {
    const packageName = "@grpc/reflection";
    const main = createRequire(import.meta.url).resolve(packageName);
    const client = openForeignService(address.port, {
      packageName,
      file: join(dirname(main), "../proto/grpc/reflection/v1/reflection.proto"),
      service: "grpc.reflection.v1.ServerReflection",
    });
    const stream = client.duplex<object, { list_services_response: { service: object[] } }>(
      "ServerReflectionInfo",
    );
    stream.write({ list_services: "*" });
    stream.end();
    const answers = [];
    for await (const answer of stream) answers.push(answer);
    client.close();
    assert.equal(answers.length, 1);
    assert.deepEqual(answers[0].list_services_response.service[0], {
      name: "google.longrunning.Operations",
    });
  });
});

describe("buf curl", () => {
  const call = async (...args: string[]) =>
    JSON.parse(await run(root, "buf", "curl", "--http2-prior-knowledge", ...args));
  const print = () => `${address.url}/printing.v1.PrintService/Print`;
  const schema = ["--schema", "proto", "--schema", "test/proto"];

  it.each([
    ["grpc", []],
    ["grpcweb", []],
    ["connect", []],
    ["grpc", schema],
    ["grpcweb", schema],
    ["connect", schema],
  ])("starts an operation in %s with the schema %j", async (protocol, args) => {
    const data = ["--protocol", protocol, "--data", '{"pages": 3}'];
    const { name } = await call(...data, ...args, print());
    assert.match(name, /^operations\//);
    const get = `${address.url}/google.longrunning.Operations/WaitOperation`;
    const { done, response } = await call("--data", JSON.stringify({ name }), get);
    assert.deepEqual(
      { done, response },
      {
        done: true,
        response: { "@type": "type.googleapis.com/printing.v1.PrintResponse", pages: 3 },
      },
    );
  });

  it("lists the services", async () => {
    const list = await run(
      root,
      "buf",
      "curl",
      "--http2-prior-knowledge",
      "--list-services",
      address.url,
    );
    assert.ok(list.split("\n").includes("printing.v1.PrintService"));
  });
});
