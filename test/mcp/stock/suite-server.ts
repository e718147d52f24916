import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { longRunning } from "../../../src/index.js";
import { createMcpHandler, type ToolOptions } from "../../../src/mcp/index.js";
import { createServer } from "../../../src/node/index.js";
import { Operations } from "../../../src/protos.js";
import { createOperations } from "../../../src/server/index.js";
import {
  ComputeMetadataSchema,
  ComputeResponseSchema,
  ToolingService,
} from "../../gen/tooling/v1/tooling_pb.js";

const payloads = { response: ComputeResponseSchema, metadata: ComputeMetadataSchema };
const { method } = ToolingService;

/** The names by which the suite calls the tools. */
const tools = new Map<string, ToolOptions>([
  ["Greet", { name: "greet", description: "Greets by name." }],
  ["SayText", { name: "test_simple_text", description: "Says one sentence." }],
  ["Refuse", { name: "test_error_handling", description: "Refuses every call." }],
  ["Compute", { name: "slow_compute" }],
  ["Step", { name: "test_tool_with_progress", task: "never" }],
  // The suite has one tool for two things: it fails, and it can only be called with tasks.
  ["Fail", { name: "failing_job", task: "required" }],
  ["Break", { name: "protocol_error_job" }],
]);

/** Serves the tools that the official conformance suite calls, on a free port of this machine. */
export async function startSuiteServer(): Promise<{ url: string; close(): Promise<void> }> {
  const operations = createOperations({ reportIntervalMs: 0, log: () => undefined });
  const server = createServer({
    operations,
    routes(router) {
      router.service(Operations, operations.service);
      router.service(ToolingService, {
        greet: ({ name }) => ({ greeting: `Hello, ${name}!` }),
        sayText: () => ({ text: "This is a simple text response for testing." }),
        refuse() {
          throw new ConnectError("this tool refuses every call", Code.FailedPrecondition);
        },
        compute: operations.handle(
          longRunning(method.compute, payloads),
          async ({ request, signal }) => {
            await sleep(request.seconds * 1000, undefined, { signal });
            return { label: request.label };
          },
        ),
        step: operations.handle(longRunning(method.step, payloads), async ({ report, signal }) => {
          // The handler reads the metadata about once a second, and the suite wants three values.
          for (let progressPercent = 0; progressPercent <= 100; progressPercent += 4) {
            report({ progressPercent });
            await sleep(200, undefined, { signal });
          }
          return { label: "stepped" };
        }),
        fail: operations.handle(longRunning(method.fail, payloads), async () => {
          throw new ConnectError("this work fails", Code.FailedPrecondition);
        }),
        break: operations.handle(longRunning(method.break, payloads), async () => {
          throw new ConnectError("this work breaks", Code.Internal);
        }),
      });
    },
    handlers: (router) => [
      createMcpHandler(router, { operations, methods: ({ name }) => tools.get(name) ?? false }),
    ],
  });
  const { url } = await server.listen({ host: "127.0.0.1", port: 0 });
  return { url: `${url}/mcp`, close: () => server.close({ graceMs: 0 }) };
}
