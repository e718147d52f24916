import type { DescFile } from "@bufbuild/protobuf";
import {
  create,
  createFileRegistry,
  type FileRegistry,
  fromBinary,
  toBinary,
} from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  type FileDescriptorSet,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import type { SubjectOptions } from "../../../src/conformance/description.js";
import { Driver } from "../../../src/conformance/driver.js";
import { openSubject, type Subject } from "../../../src/conformance/subject.js";
import { createTestServer, type TestServer, type TestServerOptions } from "./test-server.js";

/** Everything that the correct server declares. */
export const correctDescription: Omit<SubjectOptions, "subject" | "protocols"> = {
  follows: [122, 160, 193],
  methods: {
    GetOperation: true,
    ListOperations: true,
    CancelOperation: true,
    DeleteOperation: true,
    WaitOperation: true,
  },
  claims: {
    durable: true,
    partialSuccess: "refused",
    wildcard: "printers/-",
    filters: { done: "done = true", open: "done = false", bad: ["done ="] },
    xgafv: true,
  },
  parents: ["printers/a", "printers/b"],
  unknownName: "printers/a/operations/00000000-0000-4000-8000-000000000000",
  identities: {
    owner: { authorization: "Bearer owner" },
    stranger: { authorization: "Bearer stranger" },
    scope: "parent",
    anonymous: "refused",
  },
  driver: true,
};

export const allProtocols: SubjectOptions["protocols"] = {
  grpc: "http://test",
  "grpc-web": "http://test",
  connect: "http://test",
  "connect-json": "http://test",
  rest: {
    url: "http://test",
    get: "GET /v1/{name}",
    list: "GET /v1/{parent}/operations",
    cancel: "POST /v1/{name}:cancel",
    delete: "DELETE /v1/{name}",
    wait: "POST /v1/{name}:wait",
  },
};

/** Budgets of the specification, for a second of this length. */
export function budgetsFor(unitMs: number): SubjectOptions["budgets"] {
  return {
    answerMs: 3 * unitMs,
    settleMs: 5 * unitMs,
    cancelMs: 10 * unitMs,
    wakeMs: 10 * unitMs,
    slackMs: unitMs,
    keepMs: 5 * unitMs,
    freshMs: unitMs,
    restartMs: 30 * unitMs,
    caseMs: 60 * unitMs,
  };
}

/** Opens a test server with the description of the correct one, changed in parts. */
export async function openTestSubject(
  options: TestServerOptions & { readonly seed?: number } = {},
  description: Partial<SubjectOptions> = {},
): Promise<{ subject: Subject; server: TestServer; close: () => Promise<void> }> {
  const { unitMs = 100 } = options;
  const server = createTestServer({ ...options, unitMs });
  const subject = await openSubject({
    subject: "test server",
    protocols: allProtocols,
    ...correctDescription,
    exchange: server.exchange,
    budgets: budgetsFor(unitMs),
    restart: async () => server.model.restart(),
    seed: options.seed ?? 1,
    ...description,
  });
  return {
    subject,
    server,
    async close() {
      await subject.close();
      server.close();
    },
  };
}

/** The driver's descriptors without `operation_info`. */
export function driverWithoutInfo(): FileRegistry {
  const files: FileDescriptorSet["file"] = [];
  const add = (file: DescFile) => {
    for (const dependency of file.dependencies) add(dependency);
    if (files.some(({ name }) => name === file.proto.name)) return;
    const copy = fromBinary(
      FileDescriptorProtoSchema,
      toBinary(FileDescriptorProtoSchema, file.proto),
    );
    if (file === Driver.file) {
      for (const service of copy.service)
        for (const method of service.method) method.options = undefined;
    }
    files.push(copy);
  };
  add(Driver.file);
  return createFileRegistry(create(FileDescriptorSetSchema, { file: files }));
}
