import { setTimeout as sleep } from "node:timers/promises";
import { createRegistry } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import * as node from "@connectrpc/connect-node";
import { type ServiceError, status } from "@grpc/grpc-js";
import { createLongRunningClient } from "../../src/index.js";
import { createGrpcTransport } from "../../src/node/index.js";
import { createRestTransport } from "../../src/rest/index.js";
import { file_printing_v1_printing } from "../../test/gen/printing/v1/printing_pb.js";
import { createForeignOperations } from "../../test/protocols/foreign-operations.js";
import { Print } from "../../test/support/print-server.js";
import type { LoadBalancer } from "../../test/support/proxies.js";
import { type Cluster, startCluster } from "./cluster.js";
import { restRules } from "./replica-settings.js";

/** Figures of a roll of all replicas, as its clients see it. */
export interface RollFigures {
  readonly starts: number;
  readonly waits: number;
  /** Starts that were accepted and whose result did not come, and starts that failed; by protocol. */
  readonly failures: readonly string[];
  /** Single calls of plain clients that were UNAVAILABLE and repeated. */
  readonly repeated: number;
  readonly tookMs: number;
}

const registry = createRegistry(file_printing_v1_printing);

/** The clients of this package, by the protocols that they speak. */
const protocols: Readonly<Record<string, (proxy: LoadBalancer) => Transport>> = {
  gRPC: ({ http2Url }) => createGrpcTransport({ baseUrl: http2Url }),
  "gRPC by Connect's transport": ({ http2Url }) => node.createGrpcTransport({ baseUrl: http2Url }),
  "gRPC-Web": ({ http1Url }) =>
    node.createGrpcWebTransport({ baseUrl: http1Url, httpVersion: "1.1" }),
  Connect: ({ http1Url }) => node.createConnectTransport({ baseUrl: http1Url, httpVersion: "1.1" }),
  REST: ({ http1Url }) => createRestTransport({ baseUrl: http1Url, rules: restRules, registry }),
};

/** Calls per start, with back-off: a roll takes each replica away for seconds. */
const maxTries = 20;

/**
 * Replaces three replicas, one after the other, under starts and waits over every protocol through
 * HAProxy and nginx. Some operations outlast the proxies' time-out, so that waits are held over it.
 *
 * @param idleMs The proxies' time-out, in milliseconds.
 * @param maxWaitMs The longest held wait, in milliseconds.
 */
export async function roll(idleMs: number, maxWaitMs: number): Promise<RollFigures> {
  const checkMs = 250;
  const cluster = await startCluster({
    idleMs,
    checkMs,
    maxWaitMs,
    maxConcurrent: 200,
    graceMs: 2500,
    drainDelayMs: 3 * checkMs,
  });
  const startMs = performance.now();
  const run = { isOver: false, starts: 0, waits: 0, repeated: 0, failures: [] as string[] };
  const loops: Promise<void>[] = [];
  /** Four in five operations are short, the others outlast the time-out. */
  let turn = 0;
  const nextPages = () => {
    turn += 1;
    return turn % 5 === 0 ? Math.round(idleMs * 1.2) : 200 + (turn % 7) * 100;
  };
  const failed = (what: string, cause: unknown) => {
    run.failures.push(`${what}: ${cause instanceof Error ? cause.message : String(cause)}`);
  };
  for (const proxy of cluster.proxies) {
    for (const [protocol, open] of Object.entries(protocols)) {
      const client = createLongRunningClient({ print: Print }, open(proxy), {
        poll: { initialDelayMs: 100, maxDelayMs: 1000 },
      });
      const loop = async () => {
        while (!run.isOver) {
          const label = `${protocol} through ${proxy.title}`;
          try {
            const handle = await client.print({ pages: nextPages() }, { maxTries });
            run.starts += 1;
            await handle.result({ timeoutMs: 5 * idleMs + 60_000 }).then(
              () => {
                run.waits += 1;
              },
              (cause: unknown) => failed(`wait, ${label}`, cause),
            );
          } catch (cause) {
            failed(`start, ${label}`, cause);
            await sleep(100);
          }
        }
      };
      loops.push(loop(), loop());
    }
    loops.push(plainWaits(proxy, cluster, run, nextPages, failed));
  }
  try {
    await sleep(1000);
    for (const replica of cluster.replicas) {
      replica.kill("SIGTERM");
      const code = await replica.ended();
      if (code !== 0) failed("exit code of a replica", code);
      await replica.start();
      // The next one follows when the load balancers know this one.
      await sleep(4 * checkMs + 1000);
    }
    run.isOver = true;
    await Promise.all(loops);
  } finally {
    run.isOver = true;
    await cluster.stop();
  }
  const { starts, waits, repeated, failures } = run;
  return { starts, waits, repeated, failures, tookMs: performance.now() - startMs };
}

/** Waits as grpc-js does, without anything of this package, and repeats calls that are UNAVAILABLE. */
async function plainWaits(
  proxy: LoadBalancer,
  cluster: Cluster,
  run: { isOver: boolean; waits: number; repeated: number },
  nextPages: () => number,
  failed: (what: string, cause: unknown) => void,
): Promise<void> {
  const baseUrl = cluster.proxies[0].http2Url;
  const starter = createLongRunningClient({ print: Print }, createGrpcTransport({ baseUrl }), {
    poll: { initialDelayMs: 100, maxDelayMs: 1000 },
  });
  const client = createForeignOperations(Number(new URL(proxy.http2Url).port));
  while (!run.isOver) {
    try {
      const { name } = await starter.print({ pages: nextPages() }, { maxTries });
      for (let isDone = false; !isDone; ) {
        try {
          isDone = (await client.wait({ name })).done === true;
        } catch (error) {
          if ((error as ServiceError).code !== status.UNAVAILABLE) throw error;
          run.repeated += 1;
          await sleep(100);
        }
      }
      run.waits += 1;
    } catch (cause) {
      const { code } = ConnectError.from(cause);
      failed(`wait, grpc-js through ${proxy.title} (${Code[code]})`, cause);
      await sleep(100);
    }
  }
  client.close();
}
