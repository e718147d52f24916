import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The print service as tools, in a process of its own over a SQLite file. */
export interface PrintServer {
  /** The address of the server; its endpoint of MCP is `/mcp`. */
  readonly url: string;
  /** Kills the process (kill -9) and starts another one on the same port and file. */
  killAndRestart(): Promise<void>;
  close(): Promise<void>;
}

const program = fileURLToPath(new URL("print-program.ts", import.meta.url));

export async function startPrintServer(): Promise<PrintServer> {
  const folder = await mkdtemp(join(tmpdir(), "connect-longrunning-mcp-"));
  let child: ChildProcess;
  const start = async (port: number): Promise<number> => {
    child = fork(program, [join(folder, "jobs.db"), String(port)], {
      execArgv: ["--import", "tsx", "--disable-warning=ExperimentalWarning"],
    });
    const [listening] = await Promise.race([
      once(child, "message"),
      once(child, "exit").then(([code]) => {
        throw new Error(`the print server exited with ${code}`);
      }),
    ]);
    return listening;
  };
  const kill = async () => {
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  const port = await start(0);
  return {
    url: `http://127.0.0.1:${port}`,
    async killAndRestart() {
      await kill();
      await start(port);
    },
    async close() {
      await kill();
      await rm(folder, { recursive: true });
    },
  };
}
