import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Bench } from "tinybench";
import type {
  ChildMessage,
  Load,
  LoadOutcome,
  MemoryInUse,
  ParentMessage,
  Pend,
  PendOutcome,
  Settled,
} from "./child-messages.js";

/** A way to call a server. */
export interface Caller {
  /** One call; resolves when its answer is there. */
  call(): Promise<unknown>;
  /** One call, and the message that came, serialized. */
  answer(): Promise<Uint8Array>;
}

/**
 * Makes this process a subject's server, which listens on a free loopback port.
 *
 * @param answer Answers the parent's questions. Default: rejects every question.
 */
export async function runServer(
  server: Server,
  answer?: (message: ChildQuestion) => unknown,
): Promise<void> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  runListening(port, answer);
}

/** Make this process a subject's server that listens on this port already; `answer` as in `runServer`. */
export function runListening(
  port: number,
  answer: (message: ChildQuestion) => unknown = () => undefined,
): void {
  answerParent(port, async (message) => {
    const answered = await answer(message);
    if (answered === undefined) throw new Error(`this server is not asked for ${message.ask}`);
    return answered;
  });
}

/** Make this process a subject's client. It stays connected from one load to the next. */
export function runClient(connect: (baseUrl: string) => Caller): void {
  const callers = new Map<number, Caller>();
  const callerTo = (port: number) => {
    const caller = callers.get(port) ?? connect(`http://127.0.0.1:${port}`);
    callers.set(port, caller);
    return caller;
  };
  answerParent(undefined, async (message) => {
    switch (message.ask) {
      case "load":
        return load(callerTo(message.argument.port), message.argument);
      case "answer":
        return callerTo(message.argument).answer();
      default:
        throw new Error(`this client is not asked for ${message.ask}`);
    }
  });
}

/** Runs one operation that lasts the given number of milliseconds to its end. */
export type Follower = (lastMs: number) => Promise<Settled>;

/** Make this process a client that follows operations. It stays connected. */
export function runFollower(connect: (port: number) => Follower): void {
  const followers = new Map<number, Follower>();
  answerParent(undefined, async (message) => {
    if (message.ask !== "follow") throw new Error(`a follower is not asked for ${message.ask}`);
    const { port, operations, lastMs, everyMs } = message.argument;
    const follow = followers.get(port) ?? connect(port);
    followers.set(port, follow);
    const settled: Promise<Settled>[] = [];
    for (let started = 0; started < operations; started++) {
      if (started > 0) await sleep(everyMs);
      settled.push(follow(lastMs));
    }
    return Promise.all(settled);
  });
}

/** Many waits that have begun. */
export interface PendingWaits {
  /** Ends the operations that the waits follow, and resolves when the last wait is answered. */
  end(): Promise<unknown>;
}

/** Make this process one that begins many waits. `prepare` is not counted to what they hold. */
export function runWaits(prepare: (pend: Pend) => Promise<() => Promise<PendingWaits>>): void {
  answerParent(undefined, async (message): Promise<PendOutcome> => {
    if (message.ask !== "pend") throw new Error(`waits are not asked for ${message.ask}`);
    const begin = await prepare(message.argument);
    const before = await settledMemory();
    const waits = await begin();
    const heldBytes = (await settledMemory()) - before;
    const startMs = performance.now();
    await waits.end();
    return { heldBytes, wakeMs: performance.now() - startMs };
  });
}

/** Operations of a server that end on request. */
export interface HeldOperations {
  begin(operations: number): readonly string[] | Promise<readonly string[]>;
  /** How many calls wait. */
  waiting(): number;
  end(): unknown;
}

/** How a server with such operations answers its parent. */
export function answerHeld(held: HeldOperations): (message: ChildQuestion) => unknown {
  return async (message) => {
    switch (message.ask) {
      case "begin":
        return held.begin(message.argument);
      case "waiting":
        return held.waiting();
      case "end": {
        const startMs = monotonicMs();
        await held.end();
        return startMs;
      }
      default:
        return undefined;
    }
  };
}

/** Waits at one server. */
interface Holder {
  /** Wait for an operation, and resolve with the answer. */
  hold(name: string): Promise<Uint8Array>;
  /** Called when all have been answered, so that it takes none of their time. */
  assertEnded(answer: Uint8Array): void;
}

/** Make this process a client that begins many calls and then waits for the last of them. */
export function runHolder(connect: (port: number) => Holder): void {
  let calls: Promise<Uint8Array>[] = [];
  let assertEnded: Holder["assertEnded"] = () => undefined;
  const holders = new Map<number, Holder>();
  answerParent(undefined, async (message) => {
    if (message.ask === "held") {
      const answers = await Promise.all(calls);
      const lastMs = monotonicMs();
      for (const answer of answers) assertEnded(answer);
      calls = [];
      return lastMs;
    }
    if (message.ask !== "hold") throw new Error(`a holder is not asked for ${message.ask}`);
    const { port, names, times } = message.argument;
    const holder = holders.get(port) ?? connect(port);
    holders.set(port, holder);
    assertEnded = holder.assertEnded;
    for (let time = 0; time < times; time++) calls.push(...names.map(holder.hold));
    return true;
  });
}

/** Make this process one that keeps operations. */
export function runStored(answer: (message: ChildQuestion) => Promise<unknown>): void {
  answerParent(undefined, answer);
}

/** Heap in use once all pending callbacks have run, in bytes. */
export async function settledMemory(): Promise<number> {
  let inUse = Number.POSITIVE_INFINITY;
  // Collects twice, because objects that a finalizer releases are collected the next time.
  for (let collection = 0; collection < 2; collection++) {
    await sleep(10);
    const { heap, external } = memoryInUse();
    inUse = heap + external;
  }
  return inUse;
}

/** Milliseconds of a clock that does not jump, and that is the same one in all processes. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Call again and again; the calls that are under way at the end are waited for, and count. */
async function load(caller: Caller, { inFlight, durationMs }: Load): Promise<LoadOutcome> {
  const bench = new Bench({
    concurrency: "task",
    threshold: inFlight,
    iterations: 0,
    time: durationMs,
    warmup: false,
    throws: true,
  });
  bench.add("call", () => caller.call(), { async: true });
  const startMs = performance.now();
  const [task] = await bench.run();
  const elapsedMs = performance.now() - startMs;
  if (task?.result.state !== "completed") throw new Error("no call was answered");
  const { latency } = task.result;
  return {
    requests: latency.samplesCount,
    elapsedMs,
    latencyP99Ms: latency.p99,
  };
}

/** The questions whose answers depend on the subject. */
export type ChildQuestion = Exclude<
  ParentMessage,
  { ask: "cpu" | "memory" | "resources" | "stop" }
>;

function answerParent(
  port: number | undefined,
  answer: (message: ChildQuestion) => Promise<unknown>,
): void {
  const send = (message: ChildMessage) => process.send?.(message);
  const answerTo = async (message: ParentMessage) => {
    switch (message.ask) {
      case "cpu":
        return cpuMicros();
      case "memory":
        return memoryInUse();
      case "resources":
        return process.getActiveResourcesInfo();
      case "stop":
        return process.exit(0);
      default:
        return answer(message);
    }
  };
  process.on("message", (message: ParentMessage) => {
    const { id } = message;
    answerTo(message).then(
      (reply) => send({ kind: "reply", id, answer: reply }),
      (error: unknown) => send({ kind: "failure", id, message: String(error) }),
    );
  });
  // A parent that is killed leaves no processes behind.
  process.on("disconnect", () => process.exit(1));
  send({ kind: "ready", port });
}

function cpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

function memoryInUse(): MemoryInUse {
  globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heap: heapUsed, external };
}
