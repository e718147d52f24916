import { create } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { fieldsOf } from "../../../src/conformance/wire/operation-facts.js";
import { type Operation, OperationSchema } from "../../../src/protos.js";
import { type CodeName, RpcError } from "./rpc-error.js";
import type { TestServerOptions } from "./test-server.js";

/** Runs a method and strips its errors of message and details. */
async function bare<T>(method: () => Promise<T>): Promise<T> {
  try {
    return await method();
  } catch (error) {
    throw error instanceof RpcError ? new RpcError(error.codeName, "") : error;
  }
}

async function refused(code: CodeName): Promise<never> {
  throw new RpcError(code, "");
}

/** GetOperation alone; operations are done at once, without metadata and result. */
export const minimalServer: TestServerOptions = {
  variant: (model) => {
    const bareDone = (operation: Operation) =>
      create(OperationSchema, { name: operation.name, done: true });
    return {
      start: async (plan, call) => bareDone(await model.start(plan, call)),
      get: (name, call) => bare(async () => bareDone(await model.get(name, call))),
      list: () => refused("UNIMPLEMENTED"),
      cancel: () => refused("UNIMPLEMENTED"),
      delete: () => refused("UNIMPLEMENTED"),
      wait: () => refused("UNIMPLEMENTED"),
    };
  },
};

/** Time that each answer of the lazy server takes, in milliseconds. */
const lazyDelayMs = 50;

/** Every liberty that the sources leave to a server. */
export const lazyServer: TestServerOptions = {
  oddity: {
    call: () => new Promise((resolve) => setTimeout(resolve, lazyDelayMs)),
    operation(operation) {
      if (operation.done) operation.metadata = undefined;
    },
    bytes: reordered,
  },
  variant: (model) => {
    /** The real token of each token that was given out; a token may stand for an empty page. */
    const tokens = new Map<string, { token: string; isEmpty: boolean }>();
    const newToken = (token: string, isEmpty: boolean) => {
      const text = Array.from({ length: 8 }, () => crypto.randomUUID()).join("");
      tokens.set(text, { token, isEmpty });
      return text;
    };
    return {
      start: (plan, call) => bare(() => model.start({ ...plan, parent: "printers/a" }, call)),
      get: (name, call) => bare(() => model.get(name, call)),
      async list(request, call) {
        if (request.filter !== "") return refused("INVALID_ARGUMENT");
        const known = tokens.get(request.pageToken);
        if (request.pageToken !== "" && known === undefined) return refused("INVALID_ARGUMENT");
        if (known?.isEmpty) {
          return { operations: [], nextPageToken: newToken(known.token, false), unreachable: [] };
        }
        const pageSize = request.pageSize < 0 ? request.pageSize : 1;
        const pageToken = known?.token ?? "";
        const page = await bare(() => model.list({ ...request, pageSize, pageToken }, call));
        const { nextPageToken } = page;
        return {
          ...page,
          nextPageToken: nextPageToken === "" ? "" : newToken(nextPageToken, true),
        };
      },
      // The request is accepted, and no work stops for it.
      cancel: (name, call) => bare(async () => void (await model.get(name, call))),
      async delete(name, call) {
        await bare(() => model.get(name, call));
        return refused("FAILED_PRECONDITION");
      },
      wait: (name, _, call) => bare(() => model.get(name, call)),
    };
  },
};

/** The fields in reverse order, with an unknown one. */
function reordered(bytes: Uint8Array): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(999, 0).uint32(7);
  for (const { no, type, data } of fieldsOf(bytes).reverse()) {
    writer.tag(no, type);
    if (type === 2) writer.bytes(new BinaryReader(data).bytes());
    else writer.raw(data);
  }
  return writer.finish();
}
