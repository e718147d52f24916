import { realpath } from "node:fs/promises";
import { connect } from "node:net";
import type {
  OperationInspection,
  OperationsOperator,
  RequeueOutcome,
  WorkerReport,
} from "../store/index.js";
import { operatorSocketPath } from "../store/sqlite/operator-socket.js";
import { noOperatorSocket, operatorRefused, unreadableFile } from "./errors.js";

/** How long the server may take to answer, and how long its answer is at most. */
const timeoutMs = 10_000;
const maxResponseBytes = 64 * 1024 * 1024;

/**
 * Reaches the operator of a SQLite file through the socket of the server that has the file open.
 *
 * @throws CommanderError if the file does not exist; its methods, if no server answers.
 */
export async function openSqliteOperator(path: string): Promise<OperationsOperator> {
  const file = await realpath(path).catch((cause: unknown) => {
    throw unreadableFile(path, cause);
  });
  // The server belongs to this package, and only the user can reach the socket, so the type of the
  // response is not checked.
  const ask = async <T>(request: object): Promise<T> => {
    const text = await exchange(file, path, `${JSON.stringify(request)}\n`);
    const response: { readonly value?: T; readonly error?: string } = JSON.parse(text);
    if (response.error !== undefined) throw operatorRefused(path, response.error);
    return response.value as T;
  };
  return {
    inspect: async (name) =>
      (await ask<OperationInspection | null>({ command: "inspect", name })) ?? undefined,
    requeue: (name, force) => ask<RequeueOutcome>({ command: "requeue", name, force }),
    workers: () => ask<readonly WorkerReport[]>({ command: "workers" }),
  };
}

function exchange(file: string, path: string, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(operatorSocketPath(file));
    let text = "";
    const fail = (why: string) => {
      socket.destroy();
      reject(noOperatorSocket(path, why));
    };
    socket.setEncoding("utf8");
    socket.setTimeout(timeoutMs, () => fail("it does not answer"));
    socket.on("error", (cause: NodeJS.ErrnoException) => fail(cause.code ?? cause.message));
    socket.on("connect", () => socket.write(request));
    socket.on("data", (chunk) => {
      text += chunk;
      if (text.length > maxResponseBytes) fail("its answer is too long");
    });
    socket.on("end", () => {
      if (text.endsWith("\n")) resolve(text);
      else fail("it closed the connection");
    });
  });
}
