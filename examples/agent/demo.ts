import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { createMcpClient, type McpClient, type OperationAnswer } from "./mcp-client.js";
import { startAgentServer } from "./server.js";

async function main(argument: string | undefined): Promise<void> {
  // npm runs scripts in the package's folder and says here where its user is.
  const folder = resolve(process.env.INIT_CWD ?? ".", argument ?? typescriptFolder());
  const directory = await mkdtemp(join(tmpdir(), "connect-longrunning-agent-"));
  const server = await startAgentServer({ port: 0, waitMs: 0 });
  try {
    console.log(`The archive service has tools at ${server.url}`);
    await play(createMcpClient(server.url), folder, directory);
  } finally {
    await server.close();
    await rm(directory, { recursive: true });
  }
}

async function play(agent: McpClient, folder: string, directory: string): Promise<void> {
  console.log("\n1. Look for tools");
  for (const { name, description } of await agent.tools()) {
    console.log(`   ${name}: ${description?.split("\n")[0]}`);
  }

  console.log(`\n2. Compress ${folder}`);
  const archive = join(directory, "first.tar.gz");
  const made = await follow(agent, "compress_folder", { folder, archive });
  if (made.state !== "succeeded") throw new Error(made.error?.message ?? made.state);
  console.log(`   archive ${made.response?.archive}, ${made.response?.archiveBytes} bytes`);

  console.log("\n3. Compress it again, and cancel");
  const second = join(directory, "second.tar.gz");
  const { structuredContent: started } = await agent.call("compress_folder", {
    folder,
    archive: second,
  });
  const operation = started?.operation;
  await agent.call("operation_cancel", { operation });
  const ended = await follow(agent, "operation_wait", { operation });
  if (ended.state === "cancelled") {
    console.log(`   ${ended.error?.code}: ${ended.error?.message}`);
  } else {
    console.log("   The folder is so small that it was compressed before a cancellation came.");
    await rm(second);
  }

  console.log("\n4. Compress a folder that does not exist");
  const failed = await follow(agent, "compress_folder", {
    folder: join(directory, "no-such-folder"),
    archive: join(directory, "never.tar.gz"),
  });
  if (failed.error?.code !== "NOT_FOUND") throw new Error(`the operation ended ${failed.state}`);
  console.log(`   ${failed.error.code}: ${failed.error.message}`);

  console.log("\n5. Forget an argument");
  const refused = await agent.call("compress_folder", { folder });
  if (!refused.isError) throw new Error("the call without an archive should fail");
  console.log(`   ${JSON.parse(refused.content[0]?.text ?? "").error.message}`);

  const left = (await readdir(directory)).filter((name) => name !== "first.tar.gz");
  if (left.length > 0) throw new Error(`left behind in ${directory}: ${left.join(", ")}`);
}

/** Calls a tool, and then the tools that the answers name, until the operation is done. */
async function follow(
  agent: McpClient,
  tool: string,
  args: Readonly<Record<string, unknown>>,
): Promise<OperationAnswer> {
  const show = (message: string) => {
    if (message !== "") console.log(`   ${message}`);
  };
  let next: OperationAnswer["next"] = { tool, arguments: args };
  for (;;) {
    const result = await agent.call(next.tool, next.arguments, show);
    const answer = result.structuredContent;
    if (answer === undefined) throw new Error(result.content[0]?.text);
    if (answer.next === undefined) return answer;
    console.log(`   ${answer.operation} is ${answer.state}; next: ${answer.next.tool}`);
    next = answer.next;
  }
}

/** The folder that the demo compresses by default. */
function typescriptFolder(): string {
  return dirname(fileURLToPath(import.meta.resolve("typescript/package.json")));
}

main(process.argv[2]).catch((error: unknown) => {
  console.error(error instanceof Error ? `demo: ${error.message}` : error);
  process.exitCode = 1;
});
