import { EventEmitter } from "node:events";
import { type ServerUnaryCall, type sendUnaryData, status } from "@grpc/grpc-js";
import { createDeferred, type Deferred } from "../support/deferred.js";
import type { ForeignOperation } from "./foreign-operations.js";
import type { ForeignMethods } from "./foreign-server.js";

/** The operations of a foreign server, and methods to change them. */
export interface ForeignMemory {
  readonly methods: ForeignMethods;
  /** The values of `x-goog-request-params`, call by call. */
  readonly routes: readonly string[];
  /** Put an operation in the place of the one of its name, or add it. */
  put(operation: ForeignOperation): void;
  /** Resolves as soon as a WaitOperation call of this name is held. */
  waited(name: string): Promise<void>;
}

/** A place that is not asked, as the server says in every list. */
export const unreachable = "printers/far";

/** All five methods over a Map, written by hand. */
export function createForeignMemory(): ForeignMemory {
  const operations = new Map<string, ForeignOperation>();
  const changes = new EventEmitter();
  const held = new Map<string, Deferred<void>>();
  const routes: string[] = [];

  const heldOf = (name: string) => {
    const deferred = held.get(name) ?? createDeferred();
    held.set(name, deferred);
    return deferred;
  };
  const put = (operation: ForeignOperation) => {
    operations.set(operation.name, operation);
    changes.emit("change");
  };
  const noteRoute = ({ metadata }: Pick<ServerUnaryCall<object, object>, "metadata">) => {
    routes.push(metadata.get("x-goog-request-params").join());
  };
  const answer = (name: string, callback: sendUnaryData<ForeignOperation>) => {
    const operation = operations.get(name);
    if (operation === undefined) callback(notFound(name));
    else callback(null, operation);
  };

  return {
    routes,
    put,
    waited: (name) => heldOf(name).promise,
    methods: {
      GetOperation(call, callback) {
        noteRoute(call);
        answer(call.request.name, callback);
      },
      ListOperations(call, callback) {
        noteRoute(call);
        const { name, filter, page_size, page_token } = call.request;
        const found = [...operations.values()].filter(
          (operation) =>
            operation.name.startsWith(`${name}/`) &&
            (filter === "" || filter === `done = ${operation.done}`),
        );
        const start = Number(page_token);
        const end = start + page_size;
        callback(null, {
          operations: found.slice(start, end),
          next_page_token: end < found.length ? String(end) : "",
          unreachable: [unreachable],
        });
      },
      WaitOperation(call, callback) {
        noteRoute(call);
        const { name, timeout } = call.request;
        const end = () => {
          clearTimeout(timer);
          changes.off("change", look);
        };
        const look = () => {
          if (operations.get(name)?.done === false) return;
          end();
          answer(name, callback);
        };
        const timer = setTimeout(
          () => {
            end();
            answer(name, callback);
          },
          (timeout?.seconds ?? 0) * 1000 + (timeout?.nanos ?? 0) / 1_000_000,
        );
        changes.on("change", look);
        call.on("cancelled", end);
        heldOf(name).resolve();
        look();
      },
      CancelOperation(call, callback) {
        noteRoute(call);
        const { name } = call.request;
        const operation = operations.get(name);
        if (operation === undefined) {
          callback(notFound(name));
          return;
        }
        const error = { code: status.CANCELLED, message: "stopped by hand", details: [] };
        put({ ...operation, done: true, result: "error", error });
        callback(null, {});
      },
      DeleteOperation(call, callback) {
        noteRoute(call);
        const { name } = call.request;
        if (!operations.delete(name)) {
          callback(notFound(name));
          return;
        }
        callback(null, {});
        changes.emit("change");
      },
    },
  };
}

function notFound(name: string) {
  return { code: status.NOT_FOUND, details: `there is no ${name}` };
}
