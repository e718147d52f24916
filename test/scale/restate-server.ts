import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "../support/postgres/free-port.js";

const packages = fileURLToPath(new URL("./restate/node_modules/@restatedev/", import.meta.url));
const platform = `${process.platform}-${process.arch}`;
const program = join(packages, `restate-server-${platform}/bin/restate-server`);

/** Why the tests with a Restate server do not run; undefined if they do. */
export const whyNoRestate =
  Number(process.versions.node.split(".")[0]) < 22
    ? `the Restate SDK needs Node.js 22, and this is ${process.version}`
    : existsSync(program)
      ? undefined
      : "the Restate server is not installed; npm run test:scale installs it";

/** A Restate server of the tests, with its files in a folder of its own. */
export interface RestateServer {
  readonly ingressUrl: string;
  readonly adminUrl: string;
  /** Ends it without a shutdown, as a crash does. */
  kill(): Promise<void>;
  /** Starts it again with its files. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a server on free ports of the loopback interface, without telemetry. */
export async function startRestate(): Promise<RestateServer> {
  const folder = await mkdtemp(join(tmpdir(), "longrunning-restate-"));
  const [ingress, admin, node] = [await freePort(), await freePort(), await freePort()];
  let output = "";
  let child: ChildProcess | undefined;
  const start = async () => {
    const started = spawn(
      program,
      ["--node-name", "test", "--base-dir", folder, "--listen-mode", "tcp", "--no-logo"],
      {
        stdio: ["ignore", "pipe", "pipe"],
        env: {
          ...process.env,
          DO_NOT_TRACK: "1",
          RESTATE_DISABLE_TELEMETRY: "true",
          // The dispatcher's own limits hold instead of these.
          RESTATE_WORKER__INVOKER__INACTIVITY_TIMEOUT: "1s",
          RESTATE_WORKER__INVOKER__ABORT_TIMEOUT: "1s",
          RESTATE_BIND_ADDRESS: `127.0.0.1:${node}`,
          RESTATE_ADVERTISED_ADDRESS: `http://127.0.0.1:${node}`,
          RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`,
          RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
        },
      },
    );
    child = started;
    for (const stream of [started.stdout, started.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        output = (output + chunk.toString()).slice(-8192);
      });
    }
    for (let tries = 0; tries < 600; tries += 1) {
      if (started.exitCode !== null) break;
      const isUp = await Promise.all(
        [`http://127.0.0.1:${admin}/health`, `http://127.0.0.1:${ingress}/restate/health`].map(
          (url) =>
            fetch(url).then(
              ({ ok }) => ok,
              () => false,
            ),
        ),
      );
      if (isUp.every(Boolean)) return;
      await sleep(50);
    }
    throw new Error(`the Restate server did not start:\n${output}`);
  };
  const kill = async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  await start();
  return {
    ingressUrl: `http://127.0.0.1:${ingress}`,
    adminUrl: `http://127.0.0.1:${admin}`,
    kill,
    start,
    async stop() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
