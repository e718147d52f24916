/**
 * Plays the incidents of docs/operate on three replicas behind Debian's HAProxy and nginx, and a roll
 * of all replicas. Exits with 1 if an outcome is not the documented one.
 *
 *     npm run drills                 # times divided by 5
 *     npm run drills -- --full       # the real time-outs of 15 s and 60 s
 *     npm run drills -- --only roll  # or "drills", or the name of one
 */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type TLSSocket } from "node:tls";
import { parseArgs } from "node:util";
import pg from "pg";
import { createLongRunningClient, createOperationsClient } from "../../src/index.js";
import { createGrpcTransport } from "../../src/node/index.js";
import { buildCommand, type Command } from "../../test/cli/support/command.js";
import { createCertificate } from "../../test/support/certificate.js";
import { Print } from "../../test/support/print-server.js";
import { missingProxyPrograms } from "../../test/support/proxies.js";
import { type Cluster, startCluster } from "./cluster.js";
import { roll } from "./roll.js";

const { values } = parseArgs({
  options: { full: { type: "boolean", default: false }, only: { type: "string" } },
});

/** The parts of a drill. */
interface Scene {
  readonly cluster: Cluster;
  readonly command: Command;
  readonly certificates: { readonly cert: string; readonly key: string; readonly clientCa: string };
}

const forever = 600_000;

function clientsOf({ cluster }: Scene, proxy: 0 | 1 = 0) {
  const transport = createGrpcTransport({ baseUrl: cluster.proxies[proxy].http2Url });
  return {
    printer: createLongRunningClient({ print: Print }, transport),
    operations: createOperationsClient(transport),
  };
}

/** Runs the command, and asserts its exit code. */
async function longrunning({ command }: Scene, exitCode: number, ...args: string[]) {
  const ended = await command.start(...args).ended;
  assert.equal(ended.exitCode, exitCode, `longrunning ${args.join(" ")}: ${JSON.stringify(ended)}`);
  return ended;
}

/** The export of `longrunning inspect`. */
async function inspect(scene: Scene, name: string) {
  const { databaseUrl } = scene.cluster;
  const args = ["inspect", name, "--database-url", databaseUrl, "--json"];
  const { operation } = JSON.parse((await longrunning(scene, 0, ...args)).stdout);
  return operation;
}

/** Each drill asserts the outcome that the documents promise, and leaves the cluster whole. */
const drills: Readonly<Record<string, (scene: Scene) => Promise<string>>> = {
  /** docs/operate/incidents.md: "queue it again". */
  async stuck(scene) {
    const { cluster } = scene;
    const { printer } = clientsOf(scene);
    // Twelve fill all replicas, so that the next one is queued.
    const fillers = Array.from({ length: 12 }, () => printer.print({ pages: 3000 }));
    for (const { name } of await Promise.all(fillers)) {
      await cluster.heard("began", (event) => event.name === name, 10_000);
    }
    const stuck = await printer.print({ pages: 1 });
    await sql(
      cluster,
      "with gone as (delete from longrunning_queue.job where data->>'name' = $1 returning 1) select count(*) from gone",
      [stuck.name],
      1,
    );
    const deletedMs = performance.now();
    const { atMs } = await cluster.heard("requeued", ({ name }) => name === stuck.name, 20_000);
    assert.deepEqual((await stuck.result()).pages, 1);
    return `queued again after ${seconds(atMs - deletedMs)}, with an interval of 3 s instead of 60 s`;
  },

  /** docs/operate/incidents.md: "one whose process is gone, without waiting for the end of its lease". */
  async requeue(scene) {
    const { cluster } = scene;
    const { printer } = clientsOf(scene);
    const handle = await printer.print({ pages: forever });
    const { name } = handle;
    const { replica } = await cluster.heard("began", (event) => event.name === name, 10_000);
    replica.kill("SIGKILL");
    await replica.ended();
    const killedMs = performance.now();
    const database = ["--database-url", cluster.databaseUrl];
    await longrunning(scene, 0, "requeue", name, "--force", ...database);
    const isSecond = (event: { name: string; attempt: number }) =>
      event.name === name && event.attempt === 2;
    const { atMs } = await cluster.heard("began", isSecond, 20_000);
    assert.ok(atMs - killedMs < 9000, "it waited for the lease of the killed process");
    const { lostAttempts } = await inspect(scene, name);
    assert.equal(lostAttempts.length, 1);
    assert.equal(lostAttempts[0].cause.kind ?? lostAttempts[0].cause, "requeued");
    await handle.cancel();
    await replica.start();
    return `the next attempt began ${seconds(atMs - killedMs)} after kill -9`;
  },

  /** docs/operate/runbook.md: "Does one caller flood the queue?" */
  async tenant(scene) {
    const { printer, operations } = clientsOf(scene, 1);
    const start = (parent: string) => printer.print({ parent, pages: forever });
    const flood = await Promise.all(Array.from({ length: 30 }, () => start("tenants/t")));
    const other = await start("tenants/u");
    const server = ["--server", scene.cluster.proxies[0].http2Url];
    const filter = ["--filter", "done = false", "--parent", "tenants/t", "--yes"];
    const { stdout } = await longrunning(scene, 0, "cancel", ...filter, ...server);
    for (const { name } of flood) {
      const { result } = await operations.wait(name, 10_000);
      assert.equal(result.case === "error" && result.value.code, 1, `${name} is not CANCELLED`);
    }
    assert.equal((await operations.get(other.name)).done, false);
    await other.cancel();
    return stdout.trim().split("\n").at(-1) ?? "";
  },

  /** docs/operate/deploys.md: "queued again and runs on another replica, without using up an attempt". */
  async deploy(scene) {
    const { cluster } = scene;
    const { printer } = clientsOf(scene);
    const handle = await printer.print({ pages: 4000 });
    const { name } = handle;
    const { replica } = await cluster.heard("began", (event) => event.name === name, 10_000);
    const waits = [0, 1] as const;
    const results = waits.map(async (proxy) => {
      const { operations } = clientsOf(scene, proxy);
      return (await operations.resume(Print, name)).result();
    });
    const startMs = performance.now();
    replica.kill("SIGTERM");
    assert.equal(await replica.ended(), 0);
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs < replica.settings.graceMs + 2000, "the close took longer than its grace");
    for (const { pages } of await Promise.all(results)) assert.equal(pages, 2);
    const { lostAttempts } = await inspect(scene, name);
    assert.deepEqual(lostAttempts, []);
    await replica.start();
    return `closed in ${seconds(tookMs)}, both waits have their result, no attempt is lost`;
  },

  /** docs/operate/runbook.md: "Attempts are lost". */
  async "lost attempt"(scene) {
    const { cluster } = scene;
    const { printer } = clientsOf(scene, 1);
    const handle = await printer.print({ pages: 2000 });
    const { name } = handle;
    const { replica } = await cluster.heard("began", (event) => event.name === name, 10_000);
    replica.kill("SIGKILL");
    await replica.ended();
    const killedMs = performance.now();
    assert.equal((await handle.result()).pages, 2);
    const { atMs } = await cluster.heard(
      "began",
      (event) => event.name === name && event.attempt === 2,
      1000,
    );
    const { lostAttempts } = await inspect(scene, name);
    assert.equal(lostAttempts.length, 1);
    await replica.start();
    return `the next attempt began ${seconds(atMs - killedMs)} after kill -9`;
  },

  /** docs/operate/tls.md: "Renewed certificates". */
  async certificate({ cluster, certificates }) {
    const shown = async (port: number) => {
      const socket = await new Promise<TLSSocket>((resolve, reject) => {
        const made = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
        made.once("secureConnect", () => resolve(made));
        made.once("error", reject);
      });
      return { socket, fingerprint: socket.getPeerX509Certificate()?.fingerprint256 };
    };
    const ports = cluster.replicas.map(({ settings }) => settings.tls?.port ?? 0);
    const before = await Promise.all(ports.map(shown));
    await writeCertificate(certificates);
    for (const replica of cluster.replicas) replica.kill("SIGHUP");
    const endMs = performance.now() + 5000;
    for (const [at, port] of ports.entries()) {
      let isNew = false;
      while (!isNew) {
        assert.ok(performance.now() < endMs, "a replica shows the old certificate after 5 s");
        const { socket, fingerprint } = await shown(port);
        socket.destroy();
        isNew = fingerprint !== before[at]?.fingerprint;
        if (!isNew) await sleep(50);
      }
    }
    for (const { socket } of before) {
      const answered = new Promise<string>((resolve) =>
        socket.once("data", (b) => resolve(`${b}`)),
      );
      socket.write("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
      assert.match(await answered, /^HTTP\/1.1 200 /);
      socket.destroy();
    }
    return "all replicas show the new one, and older connections go on";
  },
};

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

async function sql(cluster: Cluster, text: string, parameters: unknown[], expected: number) {
  const client = new pg.Client({ connectionString: cluster.databaseUrl });
  await client.connect();
  const { rows } = await client.query(text, parameters);
  await client.end();
  assert.equal(Number(rows[0]?.count), expected, text);
}

async function writeCertificate(paths: Scene["certificates"]): Promise<void> {
  const { cert, key } = await createCertificate();
  await writeFile(paths.cert, cert);
  await writeFile(paths.key, key);
}

/** Plays one, and prints how it ended. */
async function play(name: string, drill: () => Promise<string>): Promise<boolean> {
  const startMs = performance.now();
  try {
    const outcome = await drill();
    console.log(`ok    ${name} (${seconds(performance.now() - startMs)}): ${outcome}`);
    return true;
  } catch (cause) {
    console.log(`FAIL  ${name}: ${cause instanceof Error ? cause.message : String(cause)}`);
    return false;
  }
}

async function playDrills(): Promise<boolean> {
  const wanted = Object.entries(drills).filter(([name]) =>
    ["drills", name].includes(values.only ?? name),
  );
  if (wanted.length === 0) return true;
  const folder = await mkdtemp(join(tmpdir(), "longrunning-drills-"));
  const certificates = {
    cert: join(folder, "tls.crt"),
    key: join(folder, "tls.key"),
    clientCa: join(folder, "ca.crt"),
  };
  await writeCertificate(certificates);
  await writeFile(certificates.clientCa, (await createCertificate()).cert);
  const command = await buildCommand();
  let isWell = true;
  try {
    const cluster = await startCluster({
      idleMs: 12_000,
      checkMs: 250,
      maxWaitMs: 5000,
      maxConcurrent: 4,
      graceMs: 1500,
      drainDelayMs: 750,
      certificates,
    });
    try {
      const scene = { cluster, command, certificates };
      for (const [name, drill] of wanted) {
        if (!(await play(name, () => drill(scene)))) isWell = false;
      }
    } finally {
      await cluster.stop();
    }
  } finally {
    await command.remove();
    await rm(folder, { recursive: true, force: true });
  }
  return isWell;
}

async function playRolls(): Promise<boolean> {
  if ((values.only ?? "roll") !== "roll") return true;
  const scale = values.full ? 1 : 5;
  let isWell = true;
  // The longest held wait is 12 s behind a time-out of 15 s, and else the default of 25 s.
  for (const [idle, maxWait] of [
    [15, 12],
    [60, 25],
  ] as const) {
    const isPlayed = await play(`roll, time-out of ${idle} s`, async () => {
      const figures = await roll((idle * 1000) / scale, (maxWait * 1000) / scale);
      const { starts, waits, repeated, failures } = figures;
      assert.deepEqual(failures.slice(0, 10), [], `${failures.length} failures`);
      assert.ok(starts > 50 && waits > 50, `only ${starts} starts and ${waits} waits`);
      return `${starts} starts and ${waits} waits, 0 failed; ${repeated} calls of plain clients repeated`;
    });
    if (!isPlayed) isWell = false;
  }
  return isWell;
}

async function main(): Promise<number> {
  const names = ["drills", "roll", ...Object.keys(drills)];
  if (values.only !== undefined && !names.includes(values.only)) {
    console.log(`--only takes one of: ${names.join(", ")}`);
    return 1;
  }
  const missing = missingProxyPrograms();
  if (missing.length > 0) {
    console.log(`missing: ${missing.join(", ")}; on Debian: apt-get install haproxy nginx`);
    return 1;
  }
  const isWell = await playDrills();
  return (await playRolls()) && isWell ? 0 : 1;
}

// The clients' connections would keep the process for a while.
main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
