import { createRegistry } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDriver } from "../../src/cli/conformance/driver-service.js";
import { Driver } from "../../src/conformance/driver.js";
import { conformanceCases, openSubject, type Subject } from "../../src/conformance/index.js";
import { file_google_rpc_error_details, Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { createWebHandler } from "../../src/web/index.js";

const operations = createOperations({ reportIntervalMs: 10 });
const handler = createWebHandler({
  routes(router) {
    router.service(Operations, operations.service);
    router.service(Driver, createDriver(operations));
  },
  jsonOptions: { registry: createRegistry(Driver.file, file_google_rpc_error_details) },
});
const description = {
  subject: "a web handler",
  protocols: { connect: "http://in.process" },
  fetch: (input: RequestInfo | URL, init?: RequestInit) => handler.fetch(new Request(input, init)),
  parents: ["printers/a"],
  driver: true,
};

describe("conformanceCases, for a server in this process by its fetch handler", () => {
  let subject: Subject;
  beforeAll(async () => {
    subject = await openSubject(description);
  });
  afterAll(async () => {
    await subject.close();
    await operations.shutdown({ graceMs: 0 });
  });

  const cases = conformanceCases(description).filter(({ id }) =>
    /^(list\.(size|walk|negative)|get\.(life|unknown|near)|cancel\.(done|unknown)|inv\.)/.test(id),
  );

  it.each(cases.map((one) => [one.id, one] as const))("resolves %s with pass", async (_, one) => {
    // inv.code needs a failed operation, which it starts itself.
    expect(await one.run(subject)).toMatchObject({ outcome: "pass", why: "" });
  });

  it("rejects with the evidence if the server breaks a statement", async () => {
    const broken = await openSubject({
      ...description,
      unknownName: "printers/a/operations/x",
      fetch: async () => new Response("{}", { status: 500 }),
    });
    const [first] = conformanceCases(description).filter(({ id }) => id === "get.required");
    await expect(first?.run(broken)).rejects.toMatchObject({
      name: "ConformanceFailure",
      actual: expect.stringContaining("HTTP status 500"),
      calls: [{ method: "GetOperation", httpStatus: 500 }],
    });
    await broken.close();
  });
});
