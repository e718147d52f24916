import assert from "node:assert/strict";
import { type ServiceError, status } from "@grpc/grpc-js";
import { describe, it } from "vitest";
import { Operations } from "../../src/protos.js";
import { createRestHandler, operationsHttpRules } from "../../src/rest/index.js";
import { createOperations } from "../../src/server/index.js";
import { createForeignOperations } from "../protocols/foreign-operations.js";
import { Print } from "../support/print-server.js";
import { missingProxyPrograms, proxyPrograms } from "../support/proxies.js";
import { startServer } from "../support/servers.js";
import { isInstalled } from "./is-installed.js";

/** Real times are divided by this: 60 s of a proxy are 3 s, and 25 s of the server are 1.25 s. */
const scale = 20;
const proxyMs = 60_000 / scale;
const missing = missingProxyPrograms();
const remedy = `no ${missing.join(", ")}; on Debian: apt-get install nginx haproxy`;

/** Waits behind a proxy for an operation that runs; `maxWaitMs` is the server's, in real time. */
async function waitBehind(
  program: keyof typeof proxyPrograms,
  maxWaitMs: number,
  onTestFinished: (stop: () => Promise<void>) => void,
) {
  const operations = createOperations({ maxWaitMs: maxWaitMs / scale });
  const { name } = await operations.create(Print, {});
  const server = await startServer({
    routes: (router) => void router.service(Operations, operations.service),
    handlers: (router) => [createRestHandler(router, { rules: operationsHttpRules() })],
    operations,
  });
  onTestFinished(() => server.close());
  const proxy = await proxyPrograms[program]({ ports: [server.port], idleMs: proxyMs });
  onTestFinished(() => proxy.stop());
  const client = createForeignOperations(Number(new URL(proxy.http2Url).port));
  onTestFinished(async () => client.close());
  const [grpc, rest] = await Promise.all([
    client.wait({ name }).then(
      ({ done }) => ({ done }),
      ({ code }: ServiceError) => ({ failed: status[code] }),
    ),
    fetch(`${proxy.http1Url}/v1/${name}:wait`, { method: "POST" }).then(async (response) => ({
      httpStatus: response.status,
      body: await response.text(),
    })),
  ]);
  return { name, grpc, rest };
}

const programs = ["nginx", "haproxy"] as const;

describe.runIf(missing.length === 0 || isInstalled(undefined, remedy))("WaitOperation", () => {
  it.concurrent.for(programs)(
    "passes the 60 s of %s for plain clients with the default of 25 s",
    async (program, { onTestFinished }) => {
      const { name, grpc, rest } = await waitBehind(program, 25_000, onTestFinished);
      assert.deepEqual(grpc, { done: false });
      assert.deepEqual([rest.httpStatus, JSON.parse(rest.body).name], [200, name]);
    },
  );

  it.concurrent.for(programs)(
    "is cut by the 60 s of %s if the server holds it for longer",
    async (program, { onTestFinished }) => {
      const { grpc, rest } = await waitBehind(program, 70_000, onTestFinished);

      assert.deepEqual(grpc, { failed: "UNAVAILABLE" });
      assert.equal(rest.httpStatus, 504);
    },
  );
});
