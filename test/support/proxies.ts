import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./postgres/free-port.js";

/** A load balancer of another make in a process of its own. */
export interface LoadBalancer {
  readonly title: string;
  /** For gRPC: plaintext HTTP/2. */
  readonly http2Url: string;
  /** For all other protocols: HTTP/1.1. */
  readonly http1Url: string;
  /** Stops it and removes its files. */
  stop(): Promise<void>;
}

/** Settings of a load balancer in front of some servers. */
export interface ProxyOptions {
  /** Ports of the servers on this machine. */
  readonly ports: readonly number[];
  /** Time without a byte from the server after which it cuts a call, in milliseconds. */
  readonly idleMs: number;
  /**
   * Time between two checks of `GET /readyz`, in milliseconds; two failures take a server out. Only
   * HAProxy checks. Default: no checks.
   */
  readonly checkMs?: number;
}

/** The load balancers that the tests start, by the names of their programs. */
export const proxyPrograms = { nginx: startNginx, haproxy: startHaproxy };

/** Returns the programs of `proxyPrograms` that are not installed. */
export function missingProxyPrograms(): string[] {
  return Object.keys(proxyPrograms).filter(
    (program) => spawnSync(program, ["-v"], { stdio: "ignore" }).error !== undefined,
  );
}

/** Starts nginx. It has no active checks: a failed call takes a server out for a second. */
export async function startNginx({ ports, idleMs }: ProxyOptions): Promise<LoadBalancer> {
  const [http2Port, http1Port] = [await freePort(), await freePort()];
  const servers = ports.map((port) => `server 127.0.0.1:${port} fail_timeout=1s;`).join(" ");
  const next = "error timeout http_503";
  return startProgram("nginx", [http2Port, http1Port], (folder) => ({
    args: ["-p", folder, "-c", join(folder, "configuration"), "-e", join(folder, "error.log")],
    configuration: `
daemon off;
worker_processes 1;
pid ${join(folder, "pid")};
error_log ${join(folder, "error.log")} info;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${join(folder, "tmp")};
  proxy_temp_path ${join(folder, "tmp")};
  fastcgi_temp_path ${join(folder, "tmp")};
  uwsgi_temp_path ${join(folder, "tmp")};
  scgi_temp_path ${join(folder, "tmp")};
  upstream servers { ${servers} }
  server {
    listen 127.0.0.1:${http2Port} http2;
    http2_max_concurrent_streams 1024;
    location / {
      grpc_pass grpc://servers;
      grpc_set_header Host $http_host;
      grpc_read_timeout ${idleMs}ms;
      grpc_next_upstream ${next};
    }
  }
  server {
    listen 127.0.0.1:${http1Port};
    location / {
      proxy_pass http://servers;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
      proxy_read_timeout ${idleMs}ms;
      proxy_next_upstream ${next};
    }
  }
}
`,
  }));
}

/** Starts HAProxy, which tells HTTP/1.1 and HTTP/2 apart on one port. */
export async function startHaproxy({
  ports,
  idleMs,
  checkMs,
}: ProxyOptions): Promise<LoadBalancer> {
  const port = await freePort();
  const check = checkMs === undefined ? "" : ` check check-proto h1 inter ${checkMs} fall 2 rise 1`;
  const servers = ports.map((server, at) => `  server s${at} 127.0.0.1:${server} proto h2${check}`);
  return startProgram("haproxy", [port, port], (folder) => ({
    args: ["-q", "-db", "-f", join(folder, "configuration")],
    configuration: `
global
  maxconn 4096
defaults
  mode http
  timeout connect 1s
  timeout client ${idleMs}
  timeout server ${idleMs}
  retries 3
  option redispatch 1
  option httpchk GET /readyz
frontend clients
  bind 127.0.0.1:${port}
  default_backend servers
backend servers
  balance roundrobin
${servers.join("\n")}
`,
  }));
}

async function startProgram(
  program: string,
  [http2Port, http1Port]: readonly [number, number],
  describe: (folder: string) => { args: string[]; configuration: string },
): Promise<LoadBalancer> {
  const folder = await mkdtemp(join(tmpdir(), `longrunning-${program}-`));
  await chmod(folder, 0o755);
  await mkdir(join(folder, "tmp"));
  const { args, configuration } = describe(folder);
  await writeFile(join(folder, "configuration"), configuration);
  const child: ChildProcess = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  let output = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4000);
  });
  const exited = once(child, "exit");
  for (const port of [http2Port, http1Port]) {
    while (!(await isListening(port))) {
      if (child.exitCode !== null) throw new Error(`${program} did not start:\n${output}`);
      await sleep(20);
    }
  }
  return {
    title: program,
    http2Url: `http://127.0.0.1:${http2Port}`,
    http1Url: `http://127.0.0.1:${http1Port}`,
    async stop() {
      // Both programs end at once on SIGTERM, and nginx ends its worker first.
      child.kill("SIGTERM");
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("close", () => socket.destroy());
    socket.once("connect", () => socket.destroy());
  });
}
