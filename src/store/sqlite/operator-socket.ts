import { loadNode } from "../../internal/load-node.js";
import { isRow } from "../sql/row.js";

/**
 * How `longrunning inspect`, `requeue` and `workers` reach the process that has a SQLite file: a
 * Unix socket in a folder beside the file. Folder and socket are the user's alone (0700 and 0600),
 * as the file is. A connection carries one request and its response, a line of JSON each.
 */

/** The commands, by their names in a request. Each takes the members of the request. */
export type OperatorCommands = Readonly<
  Record<string, (request: Readonly<Record<string, unknown>>) => Promise<unknown>>
>;

/** An open socket. */
export interface OperatorSocket {
  close(): Promise<void>;
}

/** Returns the path of the socket of a database file. */
export function operatorSocketPath(file: string): string {
  return `${operatorFolder(file)}/socket`;
}

function operatorFolder(file: string): string {
  return `${file}-operator`;
}

/** Limits of a connection. */
const maxRequestBytes = 64 * 1024;
const timeoutMs = 10_000;
const maxConnections = 16;

/** The longest path of a Unix socket in bytes: `sun_path` of macOS. That of Linux has four more. */
const maxPathBytes = 103;

/** The functions of Node that this file uses. */
interface Connection {
  setTimeout(ms: number, listener: () => void): unknown;
  setEncoding(encoding: "utf8"): unknown;
  on(event: "data", listener: (text: string) => void): unknown;
  on(event: "error" | "close", listener: () => void): unknown;
  end(text: string): unknown;
  destroy(): unknown;
}
interface NetServer {
  maxConnections: number;
  listen(path: string, listener: () => void): unknown;
  on(event: "error", listener: (cause: Error) => void): unknown;
  close(listener: () => void): unknown;
  unref(): unknown;
}
interface Net {
  createServer(listener: (connection: Connection) => void): NetServer;
}
interface FileSystem {
  mkdir(path: string, options: { mode: number }): Promise<unknown>;
  chmod(path: string, mode: number): Promise<void>;
  lstat(path: string): Promise<{ isDirectory(): boolean; readonly uid: number }>;
  rm(path: string, options: { force: boolean }): Promise<void>;
  rmdir(path: string): Promise<void>;
}
interface Process {
  readonly platform: string;
  getuid?(): number;
}

/**
 * Opens the socket of a file that this process alone has. A socket that a killed process left is
 * replaced. Resolves with undefined on Windows, which has no such sockets.
 *
 * @throws Error of the file system, or if the folder is another user's or the path is too long.
 */
export async function openOperatorSocket(
  file: string,
  commands: OperatorCommands,
): Promise<OperatorSocket | undefined> {
  const process = await loadNode<Process>("node:process");
  if (process.platform === "win32") return undefined;
  const net = await loadNode<Net>("node:net");
  const files = await loadNode<FileSystem>("node:fs/promises");
  const folder = operatorFolder(file);
  const path = operatorSocketPath(file);
  if (new TextEncoder().encode(path).length > maxPathBytes) {
    throw new Error(`the path of a socket has at most ${maxPathBytes} bytes: ${path}`);
  }
  await files.mkdir(folder, { mode: 0o700 }).catch(async (cause: unknown) => {
    const found = await files.lstat(folder).catch(() => undefined);
    if (found === undefined || !found.isDirectory()) throw cause;
    if (process.getuid !== undefined && found.uid !== process.getuid()) {
      throw new Error(`${folder} belongs to another user`);
    }
  });
  // The mode is set before the socket exists, because the folder may be older and have another
  // mode.
  await files.chmod(folder, 0o700);
  await files.rm(path, { force: true });
  const open = new Set<Connection>();
  const server = net.createServer((connection) => {
    open.add(connection);
    connection.on("close", () => open.delete(connection));
    serve(connection, commands);
  });
  server.maxConnections = maxConnections;
  await new Promise<void>((resolve, reject) => {
    server.on("error", reject);
    server.listen(path, resolve);
  });
  await files.chmod(path, 0o600);
  // The socket does not keep the process alive.
  server.unref();
  return {
    async close() {
      for (const connection of open) connection.destroy();
      // `close` also removes the socket's file.
      await new Promise<void>((resolve) => server.close(resolve));
      await files.rmdir(folder).catch(() => undefined);
    },
  };
}

function serve(connection: Connection, commands: OperatorCommands): void {
  let text = "";
  let isAnswered = false;
  connection.setEncoding("utf8");
  connection.setTimeout(timeoutMs, () => connection.destroy());
  connection.on("error", () => undefined);
  connection.on("data", (chunk) => {
    if (isAnswered) return;
    text += chunk;
    if (text.length > maxRequestBytes) connection.destroy();
    else if (text.includes("\n")) {
      isAnswered = true;
      void answer(text, commands).then((response) => connection.end(`${response}\n`));
    }
  });
}

async function answer(text: string, commands: OperatorCommands): Promise<string> {
  try {
    const request: unknown = JSON.parse(text);
    const name = isRow(request) ? request.command : undefined;
    const command =
      typeof name === "string" && Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (!isRow(request) || command === undefined) {
      return JSON.stringify({ error: `there is no command ${JSON.stringify(name) ?? ""}` });
    }
    return JSON.stringify({ value: (await command(request)) ?? null });
  } catch (cause) {
    return JSON.stringify({ error: cause instanceof Error ? cause.message : "unknown error" });
  }
}
