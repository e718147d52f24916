import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { untilAborted } from "../support/print-work.js";
import { answerOf, createPrintMcp, idle, settled } from "./support/mcp-client.js";

const print = "PrintService_Print";
const withTasks = { tasks: true };
const as = (user: string) => ({ tasks: true, headers: { authorization: user } });

const tenants = {
  authorize: ({ context }: { context: { requestHeader: Headers } }) => ({
    allow: true as const,
    principal: context.requestHeader.get("authorization") ?? "",
    sees: "own" as const,
  }),
};

describe("a task", () => {
  it("mcp 40: is given to clients alone that declare the extension in this request", async () => {
    const { call } = createPrintMcp(untilAborted, { mcp: { waitMs: 0 } });
    const task = (await call(print, {}, withTasks)).result;
    expect(task).toMatchObject({
      resultType: "task",
      taskId: expect.stringMatching(/^operations\//),
      status: "working",
      ttlMs: null,
      pollIntervalMs: 1000,
    });
    expect((await call(print)).result.resultType).toBe("complete");
  });

  it("is not made for work that is done at once", async () => {
    const { call } = createPrintMcp(untilAborted, {
      method: { tryNow: () => ({ pages: 7 }) },
    });
    const { result } = await call(print, {}, withTasks);
    expect(result.resultType).toBe("complete");
    expect(result.structuredContent).toMatchObject({ done: true, response: { pages: 7 } });
  });

  it("mcp 41: is required by a tool that says so", async () => {
    const { call } = createPrintMcp(untilAborted, {
      mcp: { methods: () => ({ task: "required" }) },
    });
    const { status, error } = await call(print);
    expect([status, error.code]).toEqual([400, -32021]);
    expect(error.data).toEqual({
      requiredCapabilities: { extensions: { "io.modelcontextprotocol/tasks": {} } },
    });
    expect((await call(print, {}, withTasks)).result.resultType).toBe("task");
  });

  it("mcp 42: cannot be read, changed or listened to without the extension", async () => {
    const { send, call } = createPrintMcp(untilAborted);
    const { taskId } = (await call(print, {}, withTasks)).result as unknown as { taskId: string };
    for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
      const { status, error } = await send(method, { taskId });
      expect([status, error.code]).toEqual([400, -32021]);
    }
    const listened = await send("subscriptions/listen", { notifications: { taskIds: [taskId] } });
    expect([listened.status, listened.error.code]).toEqual([400, -32021]);
  });

  it("mcp 43: can be read as soon as it is answered", async () => {
    const { send, call } = createPrintMcp(untilAborted);
    const { taskId } = (await call(print, {}, withTasks)).result as unknown as { taskId: string };
    const { result } = await send("tasks/get", { taskId }, withTasks);
    expect(result).toMatchObject({ resultType: "complete", taskId, status: "working" });
  });

  it("mcp 44: holds the result of work that succeeded, with a result type", async () => {
    const { send, call, clock } = createPrintMcp(async () => ({ pages: 2 }));
    const { taskId } = (await call(print, {}, withTasks)).result as unknown as { taskId: string };
    await idle();
    await clock.advance(1000);
    await idle();
    const { result } = await send("tasks/get", { taskId }, withTasks);
    expect(result).toMatchObject({
      status: "completed",
      result: {
        resultType: "complete",
        isError: false,
        structuredContent: { done: true, response: { pages: 2 } },
      },
    });
    expect(result).not.toHaveProperty("pollIntervalMs");
  });

  it("mcp 45: completes with an error for work that failed, and fails if the server broke", async () => {
    const codes = [Code.FailedPrecondition, Code.Internal];
    const { send, call, clock } = createPrintMcp(async () => {
      throw new ConnectError("no paper", codes.shift());
    });
    const end = async () => {
      const { taskId } = (await call(print, {}, withTasks)).result as unknown as { taskId: string };
      await idle();
      await clock.advance(1000);
      await idle();
      return (await send("tasks/get", { taskId }, withTasks)).result;
    };
    expect(await end()).toMatchObject({
      status: "completed",
      statusMessage: "no paper",
      result: { isError: true, structuredContent: { error: { code: "FAILED_PRECONDITION" } } },
    });
    const broken = await end();
    expect(broken).toMatchObject({ status: "failed", error: { code: -32603 } });
    expect(broken).not.toHaveProperty("result");
  });

  it("mcp 46: acknowledges a cancellation, even of a task that has ended", async () => {
    const { send, call, clock } = createPrintMcp(untilAborted);
    const { taskId } = (await call(print, {}, withTasks)).result as unknown as { taskId: string };
    await idle();
    const cancel = async () => (await send("tasks/cancel", { taskId }, withTasks)).result;
    const empty = { resultType: "complete", _meta: expect.anything() };
    expect(await cancel()).toEqual(empty);
    await idle();
    await clock.advance(1000);
    await idle();
    expect((await send("tasks/get", { taskId }, withTasks)).result.status).toBe("cancelled");
    expect(await cancel()).toEqual(empty);
  });

  it("mcp 47: acknowledges an update, and refuses one of an unknown task", async () => {
    const { send, call } = createPrintMcp(untilAborted);
    const { taskId } = (await call(print, {}, withTasks)).result as unknown as { taskId: string };
    const params = { taskId, inputResponses: { a: {} } };
    expect((await send("tasks/update", params, withTasks)).result.resultType).toBe("complete");
    const unknown = { ...params, taskId: "operations/0190a0a0-0000-7000-8000-000000000000" };
    expect((await send("tasks/update", unknown, withTasks)).error.code).toBe(-32602);
  });

  it("mcp 48: looks the same unknown, foreign, deleted and of another form", async () => {
    const asked: string[] = [];
    const { send, call } = createPrintMcp(untilAborted, {
      operations: {
        authorize(request) {
          asked.push(request.action);
          return tenants.authorize(request);
        },
      },
    });
    const { taskId } = (await call(print, {}, as("ann"))).result as unknown as { taskId: string };
    const foreign = await send("tasks/get", { taskId }, as("bob"));
    const unknown = await send(
      "tasks/get",
      { taskId: "operations/0190a0a0-0000-7000-8000-000000000000" },
      as("bob"),
    );
    const odd = await send("tasks/get", { taskId: "//" }, as("bob"));
    expect(foreign.error).toEqual(unknown.error);
    expect(odd.error).toEqual(unknown.error);
    expect(foreign.status).toBe(unknown.status);
    const before = asked.length;
    for (const method of ["tasks/get", "tasks/cancel"]) await send(method, { taskId }, as("bob"));
    expect(asked.length).toBeGreaterThan(before + 1);
    expect((await send("tasks/get", { taskId }, as("ann"))).result.status).toBe("working");
  });

  it("mcp 49: is not made of an operation whose name can be guessed", async () => {
    const { call, send } = createPrintMcp(untilAborted, {
      method: { name: () => "operations/one" },
      mcp: { waitMs: 0 },
    });
    const { result } = await call(print, {}, withTasks);
    expect(result.resultType).toBe("complete");
    const read = await send("tasks/get", { taskId: "operations/one" }, withTasks);
    expect(read.error.code).toBe(-32602);
  });

  it("mcp 50: is followed by a subscription that acknowledges first and ends with a result", async () => {
    const { call, clock, fetch, request } = createPrintMcp(async ({ report }) => {
      report({ pagesPrinted: 1 });
      await new Promise<void>((resolve) => clock.schedule(5000, resolve));
      return { pages: 1 };
    });
    const { taskId } = (await call(print, {}, withTasks)).result as unknown as { taskId: string };
    const params = { notifications: { taskIds: [taskId, "operations/unknown"] } };
    const response = await fetch(request("subscriptions/listen", params, withTasks));
    const { messages } = await settled(clock, answerOf(response));
    const id = (messages.at(-1) as { id: number }).id;
    const key = "io.modelcontextprotocol/subscriptionId";
    expect(messages[0]).toEqual({
      jsonrpc: "2.0",
      method: "notifications/subscriptions/acknowledged",
      params: { _meta: { [key]: id }, notifications: { taskIds: [taskId] } },
    });
    const events = messages.slice(1, -1) as unknown as {
      method: string;
      params: { status: string; _meta: Record<string, unknown> };
    }[];
    expect(events.at(-1)?.params.status).toBe("completed");
    for (const { method, params } of events) {
      expect(method).toBe("notifications/tasks");
      expect(params._meta[key]).toBe(id);
    }
    expect(messages.at(-1)).toMatchObject({
      result: { resultType: "complete", _meta: { [key]: id } },
    });
  });

  it("mcp 51: has no progress notifications on its subscription", async () => {
    const { call, clock, fetch, request } = createPrintMcp(async ({ report }) => {
      report({ pagesPrinted: 1 });
      return { pages: 1 };
    });
    const { taskId } = (await call(print, {}, withTasks)).result as unknown as { taskId: string };
    const params = { notifications: { taskIds: [taskId] } };
    const options = { tasks: true, meta: { progressToken: "p" } };
    const response = await fetch(request("subscriptions/listen", params, options));
    const { messages } = await settled(clock, answerOf(response));
    const methods = messages.map((message) => message.method);
    expect(methods).not.toContain("notifications/progress");
  });

  it("ends its subscription with a result when the server shuts down", async () => {
    const { call, clock, operations, fetch, request } = createPrintMcp(untilAborted);
    const { taskId } = (await call(print, {}, withTasks)).result as unknown as { taskId: string };
    const params = { notifications: { taskIds: [taskId] } };
    const response = await fetch(request("subscriptions/listen", params, withTasks));
    const stream = answerOf(response);
    await settled(clock, operations.shutdown({ graceMs: 1000 }));
    const { messages } = await settled(clock, stream);
    expect(messages.at(-1)).toHaveProperty("result");
  });

  it("refuses more than 100 ids, and more than 64 subscriptions at a time", async () => {
    const { send, fetch, request } = createPrintMcp(untilAborted);
    const taskIds = Array.from({ length: 101 }, (_, at) => `operations/${at}`);
    const many = await send("subscriptions/listen", { notifications: { taskIds } }, withTasks);
    expect(many.error.code).toBe(-32602);
    const left = new AbortController();
    const open = { signal: left.signal };
    for (let at = 0; at < 64; at += 1) {
      await fetch(request("subscriptions/listen", { notifications: {} }, open));
    }
    const refused = await send("subscriptions/listen", { notifications: {} });
    expect([refused.status, refused.error.code]).toEqual([503, -32603]);
    left.abort();
    await idle();
    const after = await fetch(request("subscriptions/listen", { notifications: {} }, {}));
    expect(after.status).toBe(200);
    await after.body?.cancel();
  });

  it("mcp 52: is refused with 401 and the way to a token", async () => {
    const protectedResource = {
      resource: "https://api.example/mcp",
      authorizationServers: ["https://login.example"],
      scopes: ["print"],
    };
    const { call, send, fetch } = createPrintMcp(untilAborted, {
      operations: {
        authorize({ context }) {
          if (context.requestHeader.has("authorization")) return { allow: true };
          throw new ConnectError("who are you?", Code.Unauthenticated);
        },
      },
      mcp: { protectedResource },
    });
    const url = "https://api.example/.well-known/oauth-protected-resource/mcp";
    const refusals = [
      await call(print),
      await call("operation_get", { operation: "operations/x" }),
      await send(
        "tasks/get",
        { taskId: "operations/0190a0a0-0000-7000-8000-000000000000" },
        withTasks,
      ),
    ];
    for (const { status, headers } of refusals) {
      expect(status).toBe(401);
      expect(headers.get("www-authenticate")).toBe(`Bearer resource_metadata="${url}"`);
    }
    const document = await (await fetch(new Request(url))).json();
    expect(document).toEqual({
      resource: "https://api.example/mcp",
      authorization_servers: ["https://login.example"],
      bearer_methods_supported: ["header"],
      scopes_supported: ["print"],
    });
  });

  it("mcp 52: does not read a token from the query", async () => {
    const { fetch, request } = createPrintMcp(untilAborted, {
      operations: {
        authorize({ context }) {
          if (context.requestHeader.has("authorization")) return { allow: true };
          throw new ConnectError("who are you?", Code.Unauthenticated);
        },
      },
    });
    const made = request("tools/call", { name: print, arguments: {} }, {});
    const withToken = new Request("http://localhost/mcp?access_token=t&authorization=t", made);
    expect((await fetch(withToken)).status).toBe(401);
  });
});
