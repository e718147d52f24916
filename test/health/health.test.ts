import assert from "node:assert/strict";
import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { protoPath } from "grpc-health-check";
import { describe, it } from "vitest";
import { createHealth, type HealthOptions } from "../../src/health/index.js";
import { createServer } from "../../src/node/index.js";
import {
  HealthCheckResponse_ServingStatus,
  Health as HealthService,
  Operations,
} from "../../src/protos.js";
import { openForeignService } from "../support/foreign-service.js";
import { rejectionDetailsOf, rejectionOf } from "../support/rejection.js";

const { NOT_SERVING, SERVICE_UNKNOWN, SERVING, UNKNOWN } = HealthCheckResponse_ServingStatus;

function open(options?: HealthOptions) {
  const health = createHealth(options);
  const transport = createRouterTransport((router) =>
    router.service(HealthService, health.service),
  );
  return { health, client: createClient(HealthService, transport) };
}

describe("Check", () => {
  it("shows the server as a whole as SERVING from the start", async () => {
    assert.equal((await open().client.check({})).status, SERVING);
  });

  it("shows what was set, service by service", async () => {
    const { health, client } = open();
    health.set("a.A", "NOT_SERVING");
    health.set("b.B", "UNKNOWN");
    assert.equal((await client.check({ service: "a.A" })).status, NOT_SERVING);
    assert.equal((await client.check({ service: "b.B" })).status, UNKNOWN);
    assert.equal((await client.check({ service: "" })).status, SERVING);
  });

  it("is NOT_FOUND for a service that was never set, and for one that was deleted", async () => {
    const { health, client } = open();
    health.set("a.A", "SERVING");
    health.delete("a.A");
    for (const service of ["a.A", "toString", "x".repeat(5000)]) {
      const call = client.check({ service });
      assert.equal((await rejectionOf(call)).code, Code.NotFound);
      const { errorInfo } = await rejectionDetailsOf(call);
      assert.equal(errorInfo?.reason, "SERVICE_UNKNOWN");
      assert.ok(Number(errorInfo?.metadata.service?.length) <= 257);
    }
  });

  it("shows NOT_SERVING for all once it drains, whatever is set after", async () => {
    const { health, client } = open();
    health.set("a.A", "SERVING");
    health.drain();
    health.set("", "SERVING");
    assert.equal((await client.check({})).status, NOT_SERVING);
    assert.equal((await client.check({ service: "a.A" })).status, NOT_SERVING);
    assert.equal((await rejectionOf(client.check({ service: "b.B" }))).code, Code.NotFound);
  });
});

describe("List", () => {
  it("shows all services with their statuses", async () => {
    const { health, client } = open();
    health.set("a.A", "NOT_SERVING");
    const { statuses } = await client.list({});
    assert.deepEqual(
      Object.entries(statuses).map(([service, { status }]) => [service, status]),
      [
        ["", SERVING],
        ["a.A", NOT_SERVING],
      ],
    );
  });

  it("is RESOURCE_EXHAUSTED above 100 services", async () => {
    const { health, client } = open();
    // With the server as a whole.
    for (let n = 1; n < 100; n += 1) health.set(`a.A${n}`, "SERVING");
    assert.equal(Object.keys((await client.list({})).statuses).length, 100);
    health.set("a.One.TooMany", "SERVING");
    assert.equal((await rejectionOf(client.list({}))).code, Code.ResourceExhausted);
  });
});

describe("Watch", () => {
  /** The statuses that a watch sees, pulled one by one. */
  const watch = (
    client: ReturnType<typeof open>["client"],
    service: string,
    signal?: AbortSignal,
  ) => {
    const responses = client.watch({ service }, { signal })[Symbol.asyncIterator]();
    return async () => {
      const { value, done } = await responses.next();
      return done === true ? undefined : value.status;
    };
  };

  it("shows the present status, then each change and nothing else", async () => {
    const { health, client } = open();
    const next = watch(client, "a.A");
    assert.equal(await next(), SERVICE_UNKNOWN);
    health.set("b.B", "NOT_SERVING");
    health.set("a.A", "SERVING");
    assert.equal(await next(), SERVING);
    health.set("a.A", "SERVING");
    health.set("a.A", "NOT_SERVING");
    assert.equal(await next(), NOT_SERVING);
    health.delete("a.A");
    assert.equal(await next(), SERVICE_UNKNOWN);
  });

  it("ends with UNAVAILABLE when the server closes, after NOT_SERVING", async () => {
    const { health, client } = open();
    const next = watch(client, "");
    assert.equal(await next(), SERVING);
    health.close();
    assert.equal(await next(), NOT_SERVING);
    assert.equal((await rejectionOf(next())).code, Code.Unavailable);
    assert.equal((await rejectionOf(watch(client, "")())).code, Code.Unavailable);
  });

  it("is refused above its bound, and makes room when its client goes", async () => {
    const { client } = open({ maxWatches: 1 });
    const controller = new AbortController();
    const next = watch(client, "", controller.signal);
    assert.equal(await next(), SERVING);
    const refused = watch(client, "")();
    assert.equal((await rejectionOf(refused)).code, Code.ResourceExhausted);
    assert.equal((await rejectionDetailsOf(refused)).errorInfo?.reason, "TOO_MANY_WATCHES");
    const ended = rejectionOf(next());
    controller.abort();
    assert.equal((await ended).code, Code.Canceled);
    assert.equal(await watch(client, "")(), SERVING);
  });

  it("refuses a name that is longer than any service's", async () => {
    const next = watch(open().client, "x".repeat(1025));
    assert.equal((await rejectionOf(next())).code, Code.InvalidArgument);
  });

  it("has a bound of at least 1", () => {
    assert.throws(() => createHealth({ maxWatches: 0 }), /^RangeError: maxWatches must be/);
  });
});

describe("grpc-js", () => {
  it("checks, lists and watches a server's health", async () => {
    const server = createServer({
      routes: (router) => router.service(Operations, {}),
    });
    const { port } = await server.listen();
    const client = openForeignService(port, {
      packageName: "grpc-health-check",
      file: protoPath,
      service: "grpc.health.v1.Health",
    });
    try {
      const service = "google.longrunning.Operations";
      assert.deepEqual(await client.unary("Check", { service }), { status: "SERVING" });
      assert.deepEqual(await client.unary("List", {}), {
        statuses: { "": { status: "SERVING" }, [service]: { status: "SERVING" } },
      });
      const seen: string[] = [];
      const { health } = server;
      assert.ok(health !== undefined);
      for await (const { status } of watchOf(client, service)) {
        if (seen.push(status) === 2) break;
        health.set(service, "NOT_SERVING");
      }
      assert.deepEqual(seen, ["SERVING", "NOT_SERVING"]);
    } finally {
      client.close();
      await server.close({ graceMs: 0 });
    }
  });
});

function watchOf(
  client: ReturnType<typeof openForeignService>,
  service: string,
): AsyncIterable<{ status: string }> {
  return client.serverStream<{ status: string }>("Watch", { service });
}
