import type { ConnectRouter } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { exitCodes } from "../../src/cli/exit-codes.js";
import { Operations } from "../../src/protos.js";
import { createOperations, type OperationsServer } from "../../src/server/index.js";
import { Print } from "../support/print-server.js";
import { type RunningServer, startServer } from "../support/servers.js";
import { startCommand } from "./support/command-in-process.js";

let operations: OperationsServer;
let server: RunningServer;

beforeEach(async () => {
  operations = createOperations();
  const routes = (router: ConnectRouter) => router.service(Operations, operations.service);
  server = await startServer({ routes, operations });
  for (let at = 0; at < 3; at += 1) await operations.create(Print, {}, { parent: "tenants/a" });
  await operations.create(Print, {}, { parent: "tenants/b" });
});
afterEach(() => server.close());

/** Runs the command against the server; `typed` is what a person at a terminal types. */
function run(args: readonly string[], typed?: string) {
  async function* input() {
    yield new TextEncoder().encode(`${typed}\n`);
  }
  const init = typed === undefined ? {} : { input: input(), output: { isTerminal: true } };
  return startCommand([...args, "--server", server.baseUrl], init).ended;
}

const cancelTenant = ["cancel", "--filter", "done = false", "--parent", "tenants/a"];

describe("longrunning cancel --filter", () => {
  it("cancels what matches below the parent with --yes, and reports it as JSON", async () => {
    const { exitCode, stdout } = await run([...cancelTenant, "--yes", "--json"]);
    expect(exitCode).toBe(exitCodes.success);
    expect(JSON.parse(stdout)).toEqual({
      ...{ action: "cancel", succeeded: 3, failed: 0, skipped: 0, isComplete: true, failures: [] },
    });
  });

  it("asks a person for the number of operations first", async () => {
    const no = await run(cancelTenant, "y");
    expect([no.exitCode, no.stdout]).toEqual([exitCodes.usage, ""]);
    expect(no.stderr).toContain("cancel 3 operations, the first is tenants/a/operations/");
    const yes = await run(cancelTenant, "3");
    expect(yes).toMatchObject({
      exitCode: exitCodes.success,
      stdout: "asked the server to cancel 3 of 3 operations\n",
    });
  });

  it("changes nothing in a script without --yes", async () => {
    const { exitCode, stderr } = await run(cancelTenant);
    expect(exitCode).toBe(exitCodes.usage);
    expect(stderr).toContain("nothing was changed: 3 operations were not confirmed");
    expect(stderr).toContain("--yes");
  });

  it("takes a name or a filter, and not both", async () => {
    for (const args of [["cancel"], ["cancel", "operations/a", "--filter", "done = false"]]) {
      const { exitCode, stderr } = await run(args);
      expect(exitCode).toBe(exitCodes.usage);
      expect(stderr).toContain("either the name of one operation or --filter");
    }
  });
});

describe("longrunning delete --filter", () => {
  it("deletes what matches", async () => {
    const { exitCode, stdout } = await run([
      "delete",
      "--filter",
      "done = false",
      "--parent",
      "tenants/b",
      "--yes",
    ]);
    expect([exitCode, stdout]).toEqual([exitCodes.success, "deleted 1 of 1 operations\n"]);
  });
});
