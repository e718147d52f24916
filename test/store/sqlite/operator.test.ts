import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, stat, writeFile } from "node:fs/promises";
import { connect, Socket } from "node:net";
import { join } from "node:path";
import { queryObjects } from "node:v8";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { type Built, buildForNode } from "../../../bench/build.js";
import { openSqliteOperator } from "../../../src/cli/sqlite-operator-client.js";
import { createOperations, type OperationsEvent } from "../../../src/server/index.js";
import { createSqliteStore, type SqliteDriver } from "../../../src/store/sqlite/index.js";
import { operatorSocketPath } from "../../../src/store/sqlite/operator-socket.js";
import { PrintService } from "../../gen/printing/v1/printing_pb.js";
import { createDeferred } from "../../support/deferred.js";
import { Print, type PrintWork } from "../../support/print-server.js";
import { createTemporaryFolder } from "../../support/temporary-folder.js";
import { drivers } from "./drivers.js";

async function newPath() {
  return join(await createTemporaryFolder(), "operations.db");
}

/** A server with this work on a SQLite file. */
async function aServer(path: string, work: PrintWork, driver?: SqliteDriver) {
  const events: OperationsEvent[] = [];
  const operations = createOperations({
    store: await createSqliteStore({ path, driver }),
    log: (event) => events.push(event),
  });
  operations.handle(Print, work);
  onTestFinished(() => operations.shutdown({ graceMs: 0 }));
  return { operations, events };
}

/** The operator, once the server has opened its socket. */
function operatorOf(path: string) {
  return vi.waitFor(async () => {
    const operator = await openSqliteOperator(path);
    await operator.workers();
    return operator;
  });
}

/** Work whose first attempt runs until its signal aborts. */
function createHangingWork() {
  const began = createDeferred();
  const work: PrintWork = async ({ attempt, signal }) => {
    if (attempt > 1) return { pages: attempt };
    began.resolve();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    throw signal.reason;
  };
  return { began: began.promise, work };
}

describe.each(drivers)("the operator of a SQLite file by %s", (driver) => {
  it("shows the owner of an operation, and takes the operation away by force", async () => {
    const path = await newPath();
    const { work, began } = createHangingWork();
    const { operations } = await aServer(path, work, driver);
    const { name } = await operations.start(Print, {}, { resource: "tray" });
    const second = await operations.start(Print, {}, { resource: "tray" });
    await began;
    const operator = await operatorOf(path);
    const running = await operator.inspect(name);
    expect(running).toMatchObject({ state: "running", attempt: 1, losses: 0, delivery: null });
    const owner = running?.owner ?? "";
    expect(owner).toMatch(new RegExp(`:${process.pid}:[0-9a-f]{8}$`));
    const [worker, ...others] = await operator.workers();
    expect(others).toEqual([]);
    expect(worker).toMatchObject({ id: owner, processId: process.pid, isSilent: false });
    expect(worker?.running).toMatchObject([
      { name, attempt: 1, claimTimeMicros: running?.claimTimeMicros },
    ]);

    expect(await operator.requeue(second.name, true)).toEqual({ kind: "blocked", by: name });
    expect(await operator.requeue(name, false)).toMatchObject({ kind: "running", owner });
    expect(await operator.requeue(name, true)).toEqual({ kind: "requeued" });
    await vi.waitFor(async () =>
      expect(await operator.inspect(name)).toMatchObject({
        ...{ state: "done", attempt: 2, losses: 1 },
        lostAttempts: [{ attempt: 1, owner, cause: "requeued" }],
      }),
    );
    expect(await operator.requeue(name, true)).toEqual({ kind: "done" });
    expect(await operator.requeue("operations/unknown", true)).toEqual({ kind: "not-found" });
    expect(await operator.inspect("operations/unknown")).toBeUndefined();
  });
});

describe("the socket of a SQLite file", () => {
  it("can be opened by its user alone, although the folder existed with another mode", async () => {
    const path = await newPath();
    await mkdir(`${path}-operator`, { mode: 0o777 });
    await chmod(`${path}-operator`, 0o777);
    await aServer(path, () => ({}));
    await operatorOf(path);
    const socket = operatorSocketPath(path);
    const modeOf = async (file: string) => (await stat(file)).mode & 0o777;
    expect(await modeOf(`${path}-operator`)).toBe(0o700);
    expect(await modeOf(socket)).toBe(0o600);
  });

  it("is gone after the shutdown, and replaces the one of a killed process", async () => {
    const path = await newPath();
    await mkdir(`${path}-operator`);
    await writeFile(operatorSocketPath(path), "");
    const { operations } = await aServer(path, () => ({}));
    const operator = await operatorOf(path);
    await operations.shutdown({ graceMs: 0 });
    await expect(stat(`${path}-operator`)).rejects.toThrow("ENOENT");
    await expect(operator.workers()).rejects.toThrow("no server has it open");
  });

  it("answers no request that is not a command, or that is too long, and goes on", async () => {
    const path = await newPath();
    await aServer(path, () => ({}));
    const operator = await operatorOf(path);
    const answerTo = async (request: string) => {
      const socket = connect(operatorSocketPath(path)).setEncoding("utf8");
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk;
      });
      socket.on("error", () => undefined);
      socket.write(request);
      await once(socket, "close");
      return text;
    };
    expect(await answerTo("{}\n")).toContain("there is no command");
    expect(await answerTo('{"command":"constructor"}\n')).toContain("there is no command");
    expect(await answerTo("no JSON\n")).toContain("error");
    expect(await answerTo("x".repeat(100_000))).toBe("");
    expect(await operator.workers()).toHaveLength(1);
  });

  it("keeps no connection in memory after its answer", async () => {
    const path = await newPath();
    await aServer(path, () => ({}));
    const operator = await operatorOf(path);
    // The count follows a garbage collection.
    const before = queryObjects(Socket, { format: "count" });
    for (let count = 0; count < 20; count += 1) await operator.workers();
    await vi.waitFor(() =>
      expect(queryObjects(Socket, { format: "count" })).toBeLessThan(before + 10),
    );
  });

  it("does not keep the server from serving if it cannot be opened: it logs why", async () => {
    const folder = join(await createTemporaryFolder(), "x".repeat(120));
    await mkdir(folder);
    const { operations, events } = await aServer(join(folder, "operations.db"), () => ({}));
    await operations.start(Print, {});
    await vi.waitFor(() => expect(events).toHaveLength(1));
    expect(events[0]).toMatchObject({ kind: "store-failed", action: "serve operators" });
    expect(String(events[0]?.kind === "store-failed" && events[0].cause)).toContain("103 bytes");
  });

  it("is not there with servesOperators: false", async () => {
    const path = await newPath();
    const store = await createSqliteStore({ path, servesOperators: false });
    const operations = createOperations({ store });
    await operations.start(Print, {});
    await expect(stat(`${path}-operator`)).rejects.toThrow("ENOENT");
    await operations.shutdown({ graceMs: 0 });
  });
});

describe("an attempt that a killed process lost", () => {
  let built: Built;
  beforeAll(async () => {
    built = await buildForNode(["test/store/sqlite/killed-server.ts"], {
      ...{ bundle: true, packages: "external", outExtension: { ".js": ".mjs" } },
    });
  });
  afterAll(() => built.remove());

  it("is in the history with its process, as soon as the next process takes over", async () => {
    const path = await newPath();
    const start = async (): Promise<{ child: ChildProcess; port: unknown }> => {
      const child = fork(join(built.folder, "killed-server.mjs"), [path, drivers[0]]);
      onTestFinished(() => void child.kill("SIGKILL"));
      const [port] = await once(child, "message");
      return { child, port };
    };
    const { child: first, port } = await start();
    const printer = createClient(
      PrintService,
      createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` }),
    );
    const { name } = await printer.print({ pages: 600_000 });
    const operator = await operatorOf(path);
    const { owner } = await vi.waitFor(async () => {
      const found = await operator.inspect(name);
      expect(found?.state).toBe("running");
      return { owner: found?.owner };
    });
    const exited = once(first, "exit");
    first.kill("SIGKILL");
    await exited;
    await expect(operator.workers()).rejects.toThrow("the server that had it open has ended");

    await start();
    await vi.waitFor(async () =>
      expect((await (await operatorOf(path)).inspect(name))?.lostAttempts).toMatchObject([
        { attempt: 1, owner, cause: "process-ended" },
      ]),
    );
  });
});
