/**
 * Constant load on one server: starts, waits, cancellations, callers that go away, connections
 * that break. After the second minute nothing may grow: heap, handles, timers.
 *
 *     npm run soak                     ten minutes
 *     npm run soak -- --minutes 3
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { Operations } from "../src/protos.js";
import { PrintService } from "../test/gen/printing/v1/printing_pb.js";
import { startChild } from "./child.js";
import { parent } from "./subjects/print.js";

/** How many callers there are at a time, each one operation after the other. */
const callers = 40;
/** Number of operations after which a caller's connection is cut. */
const operationsPerConnection = 50;
const sampleMs = 5000;
/** Highest ratio of the last minute's median to the third minute's that counts as flat. */
const maxGrowth = 1.1;
/** Differences below these are single requests in flight and are ignored. */
const slack = { heap: 2_000_000, handles: 10, timers: callers };

interface Sample {
  readonly minute: number;
  readonly heap: number;
  readonly handles: number;
  readonly timers: number;
}

const { values } = parseArgs({ options: { minutes: { type: "string", default: "10" } } });
const minutes = Number(values.minutes);
if (!(minutes >= 3)) throw new RangeError(`--minutes must be at least 3, not ${values.minutes}`);

const counts = { done: 0, left: 0, cancelled: 0, cut: 0 };
const server = await startChild(new URL("./subjects/soak-server.ts", import.meta.url));
const startMs = performance.now();
const endMs = startMs + minutes * 60_000;
const load = Promise.all(Array.from({ length: callers }, callAgainAndAgain));
const samples = await takeSamples();
await load;
await server.stop();
report(samples);

async function callAgainAndAgain(): Promise<void> {
  while (performance.now() < endMs) {
    const session = new Http2SessionManager(`http://127.0.0.1:${server.port}`);
    const transport = createGrpcTransport({
      baseUrl: `http://127.0.0.1:${server.port}`,
      sessionManager: session,
    });
    const rpc = createClient(Operations, transport);
    const printer = createClient(PrintService, transport);
    for (let at = 0; at < operationsPerConnection && performance.now() < endMs; at += 1) {
      const { name } = await printer.print({ parent, pages: Math.floor(Math.random() * 300) });
      const draw = Math.random();
      if (draw < 0.6) {
        await rpc.waitOperation({ name, timeout: { seconds: 30n } });
        counts.done += 1;
      } else if (draw < 0.8) {
        await leave(rpc.waitOperation({ name }, { timeoutMs: 1 + Math.floor(Math.random() * 20) }));
        counts.left += 1;
      } else {
        await rpc.cancelOperation({ name });
        await rpc.waitOperation({ name, timeout: { seconds: 30n } });
        counts.cancelled += 1;
      }
      if (draw > 0.98) await rpc.listOperations({ name: parent, filter: "done = false" });
    }
    // With a call under way, as when a client's process dies.
    const { name } = await printer.print({ parent, pages: 1000 });
    const waiting = leave(rpc.waitOperation({ name, timeout: { seconds: 30n } }));
    await sleep(5);
    session.abort(new ConnectError("cut", Code.Unavailable));
    await waiting;
    counts.cut += 1;
  }
}

/** A call whose caller goes away has no answer to speak of. */
async function leave(call: Promise<unknown>): Promise<void> {
  await call.catch(() => undefined);
}

async function takeSamples(): Promise<Sample[]> {
  const taken: Sample[] = [];
  for (let dueMs = startMs + sampleMs; dueMs < endMs; dueMs += sampleMs) {
    await sleep(dueMs - performance.now());
    const { heap, external } = await server.ask("memory");
    const resources = await server.ask("resources");
    const timers = resources.filter((kind) => kind === "Timeout").length;
    const minute = Math.floor((dueMs - startMs) / 60_000);
    taken.push({
      minute,
      heap: heap + external,
      handles: resources.length - timers,
      timers,
    });
  }
  return taken;
}

function report(taken: readonly Sample[]): void {
  const medianOf = (minute: number, key: "heap" | "handles" | "timers") => {
    const sorted = taken.flatMap((each) => (each.minute === minute ? [each[key]] : []));
    sorted.sort((one, other) => one - other);
    return sorted[sorted.length >> 1] ?? Number.NaN;
  };
  console.log("minute   heap MB   handles   timers");
  for (let minute = 0; minute < minutes; minute += 1) {
    const cells = [
      String(minute),
      (medianOf(minute, "heap") / 1e6).toFixed(1),
      String(medianOf(minute, "handles")),
      String(medianOf(minute, "timers")),
    ];
    console.log(cells.map((cell, at) => cell.padStart([6, 10, 10, 9][at] ?? 0)).join(""));
  }
  console.log(
    `${counts.done} done, ${counts.left} left, ${counts.cancelled} cancelled, ${counts.cut} connections cut`,
  );
  for (const key of ["heap", "handles", "timers"] as const) {
    const before = medianOf(2, key);
    const after = medianOf(minutes - 1, key);
    const isFlat = after <= Math.max(before * maxGrowth, before + slack[key]);
    console.log(`${key}: ${(after / before).toFixed(2)} of minute 2, ${isFlat ? "flat" : "GROWS"}`);
    if (!isFlat) process.exitCode = 1;
  }
}
