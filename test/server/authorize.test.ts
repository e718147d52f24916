import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import type { Authorization, OperationsCall } from "../../src/server/index.js";
import { standardDetailsOf } from "../../src/status/index.js";
import { createPrintServer, Print, type PrintServerOptions } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";

const never = () => new Promise<never>(() => undefined);
const as = (user: string) => ({ headers: { "x-user": user } });
const userOf = ({ context }: OperationsCall) => context.requestHeader.get("x-user") ?? "";
const named = ["getOperation", "waitOperation", "cancelOperation", "deleteOperation"] as const;

/** A server that has each caller see what it started itself, and a client for each. */
function createTenantServer(options: PrintServerOptions = {}) {
  const server = createPrintServer(never, {
    authorize: (call) => ({ allow: true, principal: userOf(call), sees: "own" }),
    ...options,
  });
  const start = async (user: string, init: { requestId?: string; document?: string } = {}) =>
    (await server.printer.print(init, as(user))).name;
  const list = async (user: string, pageToken = "", pageSize = 0) =>
    server.rpc.listOperations({ pageToken, pageSize }, as(user));
  return { ...server, start, list };
}

describe("a caller who is denied", () => {
  const denied = async (decision: Authorization, name: string, method: (typeof named)[number]) => {
    const { rpc, operations } = createPrintServer(never, { authorize: () => decision });
    const { name: existing } = await operations.create(Print, {});
    return rejectionOf(rpc[method]({ name: name === "existing" ? existing : name }));
  };

  it.each(named)("server 28, 54: %s answers the same whether it exists or not", async (method) => {
    for (const name of ["existing", "operations/unknown"]) {
      const error = await denied({ allow: false }, name, method);
      expect(error.code).toBe(Code.PermissionDenied);
      expect(standardDetailsOf(error).errorInfo?.reason).toBe("PERMISSION_DENIED");
    }
  });

  it.each(named)("server 91: %s denies before it looks at the form of the name", async (method) => {
    expect((await denied({ allow: false }, "//", method)).code).toBe(Code.PermissionDenied);
  });

  it("server 29: gets the permission and the resource in the words of AIP-211", async () => {
    const permission = "printing.jobs.get";
    const error = await denied({ allow: false, permission }, "operations/x", "getOperation");
    expect(error.rawMessage).toBe(
      "Permission 'printing.jobs.get' denied on resource 'operations/x' (or it might not exist).",
    );
    expect(standardDetailsOf(error).errorInfo?.metadata).toEqual({
      permission,
      resource: "operations/x",
    });
  });

  it("gets the permission of the action if the hook does not name one", async () => {
    const error = await denied({ allow: false }, "operations/x", "cancelOperation");
    expect(error.rawMessage).toContain("'longrunning.operations.cancel'");
  });

  it("gets no echo that would not fit into a trailer", async () => {
    const error = await denied({ allow: false }, "x".repeat(100_000), "getOperation");
    expect(error.rawMessage.length).toBeLessThan(1000);
  });

  it("server 91: starts nothing, and is denied before the request is validated", async () => {
    const { printer, rpc } = createPrintServer(never, {
      authorize: ({ action }) => ({ allow: action !== "start" }),
      method: {
        validate: () => {
          throw new ConnectError("no document", Code.InvalidArgument);
        },
      },
    });
    expect((await rejectionOf(printer.print({}))).code).toBe(Code.PermissionDenied);
    expect((await rpc.listOperations({})).operations).toEqual([]);
  });

  it("server 91: lists nothing, and is denied before the request is validated", async () => {
    const { rpc } = createPrintServer(never, { authorize: () => ({ allow: false }) });
    const error = await rejectionOf(rpc.listOperations({ name: "//", pageSize: -1 }));
    expect(error.code).toBe(Code.PermissionDenied);
  });

  it("gets the hook's own ConnectError, and INTERNAL for anything else it throws", async () => {
    const unauthenticated = new ConnectError("who are you?", Code.Unauthenticated);
    const thrown = [unauthenticated, new Error("secret of the directory")];
    const { rpc, events } = createPrintServer(never, {
      authorize: () => {
        throw thrown.shift();
      },
    });
    const one = await rejectionOf(rpc.getOperation({ name: "operations/x" }));
    expect([one.code, one.rawMessage]).toEqual([Code.Unauthenticated, "who are you?"]);
    const other = await rejectionOf(rpc.getOperation({ name: "operations/x" }));
    expect([other.code, other.rawMessage]).toEqual([Code.Internal, "internal error"]);
    expect(events).toHaveLength(1);
  });
});

describe("the authorize hook", () => {
  it("server 92: is asked once per call, for the called action alone", async () => {
    const actions: string[] = [];
    const { printer, rpc } = createPrintServer(never, {
      authorize: ({ action, name, method }) => {
        actions.push([action, name, method ?? ""].join(" "));
        return { allow: true };
      },
      method: { name: () => "operations/7" },
    });
    const { name } = await printer.print({});
    await rpc.getOperation({ name });
    await rpc.waitOperation({ name, timeout: { seconds: 0n } });
    await rpc.cancelOperation({ name });
    await rpc.listOperations({ name: "printers/7/operations" });
    await rpc.deleteOperation({ name });
    expect(actions).toEqual([
      "start  printing.v1.PrintService/Print",
      `get ${name} `,
      `wait ${name} `,
      `cancel ${name} `,
      "list printers/7 ",
      `delete ${name} `,
    ]);
  });

  it("can look at who started the operation, and with which method", async () => {
    const seen: unknown[] = [];
    const { printer, rpc } = createPrintServer(never, {
      authorize: async (call) => {
        seen.push(await call.operation());
        return { allow: true, principal: userOf(call) };
      },
    });
    const { name } = await printer.print({}, as("ann"));
    await rpc.getOperation({ name }, as("bob"));
    await rejectionOf(rpc.getOperation({ name: "operations/unknown" }));
    await rejectionOf(rpc.getOperation({ name: "//" }));
    expect(seen).toEqual([
      undefined,
      { principal: "ann", method: "printing.v1.PrintService/Print" },
      undefined,
      undefined,
    ]);
  });

  it("server 40: decides on every page; a token opens nothing by itself", async () => {
    let allow = true;
    const { rpc, operations } = createPrintServer(never, { authorize: () => ({ allow }) });
    await operations.create(Print, {});
    await operations.create(Print, {});
    const { nextPageToken: pageToken } = await rpc.listOperations({ pageSize: 1 });
    allow = false;
    const error = await rejectionOf(rpc.listOperations({ pageToken }));
    expect(error.code).toBe(Code.PermissionDenied);
  });
});

describe("callers who see their own alone", () => {
  it("server 53: list what they started, page by page, and nothing of others", async () => {
    const { start, list } = createTenantServer();
    const anns: string[] = [];
    for (let at = 0; at < 3; at += 1) {
      anns.unshift(await start("ann"));
      await start("bob");
    }
    const one = await list("ann", "", 2);
    const two = await list("ann", one.nextPageToken, 2);
    const found = [...one.operations, ...two.operations].map((operation) => operation.name);
    expect(found).toEqual(anns);
    expect((await list("eve")).operations).toEqual([]);
  });

  it("server 40: cannot go on with the page token of another", async () => {
    const { start, list } = createTenantServer();
    await start("ann");
    await start("ann");
    const { nextPageToken } = await list("ann", "", 1);
    expect((await rejectionOf(list("bob", nextPageToken))).code).toBe(Code.InvalidArgument);
  });

  it.each(named)(
    "find another's operation as little as one that does not exist: %s",
    async (method) => {
      const { start, rpc } = createTenantServer();
      const name = await start("ann");
      const foreign = await rejectionOf(rpc[method]({ name }, as("bob")));
      const unknown = await rejectionOf(rpc[method]({ name: "operations/unknown" }, as("bob")));
      expect(foreign.code).toBe(Code.NotFound);
      expect(foreign.rawMessage.replace(name, "operations/unknown")).toBe(unknown.rawMessage);
      const { done, metadata } = await rpc.getOperation({ name }, as("ann"));
      expect({ done, metadata }).toEqual({ done: false, metadata: undefined });
    },
  );

  it("server 25: start their own with the request id of another", async () => {
    const { start } = createTenantServer();
    const requestId = crypto.randomUUID();
    const name = await start("ann", { requestId });
    expect(await start("bob", { requestId, document: "another" })).not.toBe(name);
    expect(await start("ann", { requestId })).toBe(name);
  });
});
