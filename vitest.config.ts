import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Tests that need a PostgreSQL server, which is started for them alone. */
const onPostgres = ["test/**/postgres/**/*.test.ts"];

/** Tests of the package as npm gets it, which is packed once for all of them. */
const ofThePackage = ["test/consumer/**/*.test.ts", "test/plugin/installed.test.ts"];

/** Tests with published clients of MCP, which `.ci/test-mcp` installs. */
const withMcpClients = "test/mcp/stock/**/*.test.ts";

/** Tests of the package in frameworks, bundlers and other runtimes, which npm brings. */
const onPlatforms = "test/platforms/*.test.ts";

/** Tests of the console, whose page is built once for all of them. Many of them need a browser. */
const ofTheConsole = "test/console/**/*.test.ts";

export default defineConfig({
  resolve: {
    // The examples name the package as its users do; here that is the sources.
    alias: [
      { find: /^connect-longrunning$/, replacement: at("./src/index.ts") },
      { find: /^connect-longrunning\/protos$/, replacement: at("./src/protos.ts") },
      {
        find: /^connect-longrunning\/((?:store\/)?[a-z]+)$/,
        replacement: at("./src/$1/index.ts"),
      },
      {
        find: "connect-longrunning/dispatcher/restate",
        replacement: at("./src/restate/index.ts"),
      },
      { find: /^connect-longrunning\/gen\/(.*)\.js$/, replacement: at("./gen/$1.ts") },
    ],
  },
  test: {
    testTimeout: 20_000,
    // Two cores are what the suite has to do with; left to itself vitest keeps one for itself.
    maxWorkers: "100%",
    reporters: ["default", ["json", { outputFile: ".cache/test-results.json" }]],
    projects: [
      {
        extends: true,
        test: {
          name: "main",
          include: ["test/**/*.test.ts"],
          exclude: [
            ...onPostgres,
            ...ofThePackage,
            "test/platforms/**",
            "test/scale/**",
            withMcpClients,
            ofTheConsole,
            "**/node_modules/**",
          ],
        },
      },
      {
        extends: true,
        test: {
          name: "postgres",
          include: onPostgres,
          globalSetup: "test/support/postgres/postgres-server.ts",
        },
      },
      {
        extends: true,
        test: {
          name: "package",
          include: ofThePackage,
          globalSetup: "test/consumer/support/packed-package.ts",
        },
      },
      {
        extends: true,
        test: {
          name: "console",
          include: [ofTheConsole],
          globalSetup: [
            "test/console/support/build-page.ts",
            "test/support/postgres/postgres-server.ts",
          ],
        },
      },
      {
        extends: true,
        test: {
          name: "scale",
          include: ["test/scale/*.test.ts"],
          globalSetup: "test/support/postgres/postgres-server.ts",
        },
      },
      {
        extends: true,
        test: {
          name: "platforms",
          include: [onPlatforms],
          globalSetup: "test/consumer/support/packed-package.ts",
        },
      },
      {
        extends: true,
        test: {
          name: "mcp",
          include: [withMcpClients],
        },
      },
    ],
  },
});
