import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { root } from "./bundle-package.js";

/** The interfaces of options that users meet, by the function that takes them. */
const sections: readonly {
  readonly heading: string;
  readonly source: string;
  readonly type: string;
}[] = [
  {
    heading: "`createOperations`",
    source: "server/operations-server.ts",
    type: "OperationsOptions",
  },
  { heading: "`operations.handle`", source: "server/method-options.ts", type: "MethodOptions" },
  { heading: "`retry` of a method", source: "server/method-options.ts", type: "RetryOptions" },
  {
    heading: "`operations.start` and `create`",
    source: "server/method-options.ts",
    type: "CreateOptions",
  },
  { heading: "`createServer`", source: "node/server-options.ts", type: "ServerOptions" },
  { heading: "`limits` of `createServer`", source: "node/server-limits.ts", type: "ServerLimits" },
  { heading: "`close` and `shutdown`", source: "internal/closing.ts", type: "CloseOptions" },
  { heading: "`cors`", source: "web/cors.ts", type: "CorsOptions" },
  { heading: "`createWebHandler`", source: "web/create-web-handler.ts", type: "WebHandlerOptions" },
  {
    heading: "`createRestHandler`",
    source: "rest/create-rest-handler.ts",
    type: "RestHandlerOptions",
  },
  {
    heading: "`createRestTransport`",
    source: "rest/create-rest-transport.ts",
    type: "RestTransportOptions",
  },
  { heading: "`createConsole`", source: "console/console-options.ts", type: "ConsoleOptions" },
  { heading: "`createMcpHandler`", source: "mcp/mcp-handler.ts", type: "McpHandlerOptions" },
  { heading: "A client", source: "client/client-options.ts", type: "ClientOptions" },
  {
    heading: "`poll` of a client or a wait",
    source: "client/poll-policy.ts",
    type: "BackoffOptions",
  },
  { heading: "`result` and `outcome`", source: "client/wait-options.ts", type: "WaitOptions" },
  { heading: "`watchAll`", source: "client/watch-all.ts", type: "WatchAllOptions" },
  {
    heading: "`createMemoryStore`",
    source: "store/memory/memory-store.ts",
    type: "MemoryStoreOptions",
  },
  {
    heading: "`createInProcessDispatcher`",
    source: "store/memory/in-process-dispatcher.ts",
    type: "InProcessDispatcherOptions",
  },
  {
    heading: "`createSqliteStore`",
    source: "store/sqlite/sqlite-store.ts",
    type: "SqliteStoreOptions",
  },
  {
    heading: "`connectPostgres`",
    source: "store/postgres/connect-postgres.ts",
    type: "ConnectPostgresOptions",
  },
  {
    heading: "`createPgBossDispatcher`",
    source: "store/postgres/pg-boss-dispatcher.ts",
    type: "PgBossDispatcherOptions",
  },
  { heading: "`createShards`", source: "store/shards/create-shards.ts", type: "ShardsOptions" },
];

/** Where the page is, from the root of the repository. */
export const optionsPagePath = "docs/reference/options.md";

/** Writes the page of all options from their docstrings. */
export async function optionsPage(): Promise<string> {
  const parts = await Promise.all(
    sections.map(async ({ heading, source, type }) => {
      const text = await readFile(join(root, "src", source), "utf8");
      const rows = optionsOf(text, type).map(({ name, meaning }) => `| \`${name}\` | ${meaning} |`);
      if (rows.length === 0) throw new Error(`src/${source} has no options of ${type}`);
      return [`## ${heading}`, "", "| Option | Meaning |", "|---|---|", ...rows, ""].join("\n");
    }),
  );
  return [
    "# Options and bounds",
    "",
    "Every option may be left out unless its text says otherwise. [SECURITY.md](../../SECURITY.md#bounds) lists the bounds of",
    "the server. `npm run api` writes this page from the docstrings.",
    "",
    ...parts,
  ].join("\n");
}

/** Returns the members of an interface that have a docstring. */
function optionsOf(source: string, type: string) {
  const start = new RegExp(`export interface ${type}\\b`).exec(source)?.index ?? source.length;
  const body = source.slice(start, source.indexOf("\n}\n", start));
  const members = /\/\*\*(?<comment>(?:(?!\*\/)[\s\S])*)\*\/\s*(?:readonly )?(?<name>\w+)\??[:(]/g;
  return Array.from(body.matchAll(members), ({ groups }) => ({
    name: groups?.name ?? "",
    meaning: (groups?.comment ?? "")
      .replace(/\n\s*\* ?/g, "\n")
      .split(/\n@/)[0]
      ?.replace(/\n\n- /g, " - ")
      .replace(/\s+/g, " ")
      .replaceAll("|", "\\|")
      .trim(),
  }));
}
