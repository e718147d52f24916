import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";
import { Bench } from "tinybench";
import type {
  ChildMessage,
  Load,
  LoadOutcome,
  MemoryInUse,
  ParentMessage,
} from "./child-messages.js";

/** A way to call a server. */
export interface Caller {
  /** One call; resolves when its answer is there. */
  call(): Promise<unknown>;
  /** One call, and the message that came, serialized. */
  answer(): Promise<Uint8Array>;
}

/** Make this process a subject's server: listen on a free port of the loopback. */
export async function runServer(server: Server): Promise<void> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  answerParent(port, async (message) => {
    throw new Error(`a server is not asked for ${message.ask}`);
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
    }
  });
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

type Question = Exclude<ParentMessage, { ask: "cpu" | "memory" | "stop" }>;

function answerParent(
  port: number | undefined,
  answer: (message: Question) => Promise<unknown>,
): void {
  const send = (message: ChildMessage) => process.send?.(message);
  const answerTo = async (message: ParentMessage) => {
    switch (message.ask) {
      case "cpu":
        return cpuMicros();
      case "memory":
        return memoryInUse();
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
