/**
 * The directions of imports, as ARCHITECTURE.md draws them: each layer may import
 * those below it and itself, and nothing else.
 */
const layers = {
  protos: ["gen"],
  internal: [],
  status: ["protos", "internal"],
  any: ["protos", "internal", "status"],
  operation: ["protos", "internal", "status", "any"],
  client: ["protos", "internal", "status", "any", "operation"],
  opentelemetry: ["protos", "internal", "status", "any", "operation", "client", "store", "server"],
  direct: ["internal"],
  json: ["protos", "internal"],
  display: ["protos", "internal", "status", "any", "operation", "json"],
  mcp: [
    "web",
    "protos",
    "internal",
    "status",
    "any",
    "operation",
    "client",
    "direct",
    "json",
    "display",
    "web",
  ],
  web: ["protos", "internal", "status", "any", "direct", "health", "reflection", "json"],
  rest: ["protos", "internal", "status", "any", "direct", "json", "web"],
  plugin: ["protos", "internal", "status", "any", "operation"],
  store: ["protos", "internal", "status", "any", "operation"],
  server: ["protos", "internal", "status", "any", "operation", "store"],
  restate: ["internal", "status", "store"],
  bulk: ["protos", "internal", "status", "client", "server"],
  health: ["protos", "internal", "status"],
  console: [
    "protos",
    "internal",
    "status",
    "any",
    "operation",
    "client",
    "bulk",
    "direct",
    "json",
    "display",
    "reflection",
    "web",
  ],
  reflection: ["protos", "internal"],
  node: ["protos", "internal", "status", "health", "direct", "json", "web"],
  cli: [
    "protos",
    "bulk",
    "console",
    "mcp",
    "internal",
    "status",
    "any",
    "operation",
    "client",
    "store",
    "server",
    "health",
    "reflection",
    "direct",
    "json",
    "display",
    "node",
    "web",
    "rest",
    "opentelemetry",
    "conformance",
  ],
  // The driver's generated code is for the suite alone.
  conformance: ["gen", "protos", "internal", "status", "any", "operation", "json"],
  testing: ["protos", "internal", "status", "any", "operation", "store", "server", "client"],
};

/** Where the files of a layer are. */
const pathOf = (layer) => {
  if (layer === "gen") return "^gen/";
  return layer === "protos" ? "^src/protos\\.ts$" : `^src/${layer}/`;
};

/** What a browser bundle of the root entry point must not reach. */
const serverOnly =
  "^src/(bulk|cli|console|conformance|direct|display|json|health|mcp|reflection|node|rest|restate|store|server|testing)/";

export default {
  forbidden: [
    ...Object.entries(layers).map(([layer, below]) => ({
      name: `layer-${layer}`,
      comment: `${layer} may import ${[...below, "itself"].join(", ")}`,
      severity: "error",
      from: { path: pathOf(layer) },
      to: {
        path: "^(src|gen)/",
        pathNot: [pathOf(layer), ...below.map(pathOf)],
      },
    })),
    {
      name: "root-is-for-browsers",
      comment: "importing the package loads neither the server nor a store",
      severity: "error",
      from: { path: "^src/index\\.ts$" },
      to: { path: serverOnly, reachable: true },
    },
    {
      name: "one-door-to-gen",
      comment: "only src/protos.ts imports generated code, and src/conformance/driver.ts its own",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(protos|conformance/driver)\\.ts$" },
      to: { path: "^gen/" },
    },
    {
      name: "opentelemetry-is-optional",
      comment:
        "all but one entry point and the command work where @opentelemetry/api is not installed",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(opentelemetry|cli)/" },
      to: { path: "^src/opentelemetry/|@opentelemetry/" },
    },
    {
      name: "opentelemetry-on-demand",
      comment: "the command loads it when metrics are wanted, so that it can be missing",
      severity: "error",
      from: { path: "^src/cli/" },
      to: {
        path: "^src/opentelemetry/|@opentelemetry/",
        dependencyTypesNot: ["type-only", "dynamic-import"],
      },
    },
    {
      name: "opentelemetry-loads-no-server",
      comment:
        "of the server and the stores only what observers hear is imported, types that load nothing",
      severity: "error",
      from: { path: "^src/opentelemetry/" },
      to: {
        path: "^src/(server|store)/",
        pathNot:
          "^src/(server/observer|store/operation-counts|store/postgres/postgres-observer)\\.ts$",
      },
    },
    {
      name: "protoplugin-is-optional",
      comment: "only the code generator needs @bufbuild/protoplugin, and nothing imports that",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/plugin/" },
      to: { path: "^src/plugin/|@bufbuild/protoplugin" },
    },
    {
      name: "postgres-is-optional",
      comment:
        "all but one entry point and the command work where pg and pg-boss are not installed",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(store/postgres|cli|opentelemetry)/" },
      to: { path: "^src/store/postgres/|^(node_modules/)?(@types/pg|pg|pg-boss)(/|$)" },
    },
    {
      name: "drivers-on-demand",
      comment: "pg and pg-boss are loaded when they are wanted, so that each can be missing",
      severity: "error",
      from: { path: "^src/" },
      to: {
        path: "^(node_modules/)?(@types/pg|pg|pg-boss)(/|$)",
        dependencyTypesNot: ["type-only", "dynamic-import"],
      },
    },
    {
      name: "restate-is-optional",
      comment: "one entry point uses the SDK of Restate, and nothing imports that",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/restate/" },
      to: { path: "^src/restate/|@restatedev/" },
    },
    {
      name: "commander-is-for-the-command",
      comment: "no entry point loads the argument parser or the command",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/cli/" },
      to: { path: "^src/cli/|node_modules/(commander|@commander-js)/" },
    },
    {
      name: "connect-node-is-optional",
      comment:
        "all but one entry point and the command work where @connectrpc/connect-node is not installed",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(node|cli)/" },
      to: { path: "^src/node/|@connectrpc/connect-node" },
    },
    {
      name: "one-door-to-connect-protocol",
      comment: "only src/direct/connect-protocol.ts imports what Connect does not promise to keep",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/direct/connect-protocol\\.ts$" },
      to: { path: "@connectrpc/connect/dist/[^/]+/protocol" },
    },
    {
      name: "sqlite-is-optional",
      comment: "all but one entry point and the command work where there is no SQLite",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(store/sqlite|cli)/" },
      to: { path: "^src/store/sqlite/|^(node_modules/)?libsql(/|$)" },
    },
    {
      name: "no-node-builtins",
      comment:
        "only src/node, src/restate and src/cli need Node; all else runs in browsers, Deno and workers",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(node|restate|cli)/" },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "no-development-dependencies",
      comment:
        "the package's imports must be installed with it, except those that the command and the console's page have inside",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(cli|console/app)/" },
      to: {
        dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"],
        pathNot: [
          "@bufbuild/(protobuf|protoplugin)/",
          "@connectrpc/connect",
          "@restatedev/restate-sdk",
          "@opentelemetry/(api|exporter-prometheus|sdk-metrics)",
          "^(node_modules/)?(@types/pg|pg|pg-boss)(/|$)",
        ],
      },
    },
    {
      name: "no-circles",
      comment: "no two files import each other's values",
      severity: "error",
      from: { path: "^src/" },
      to: { circular: true },
    },
    {
      name: "no-orphans",
      comment: "a file that nobody imports is dead",
      severity: "error",
      from: {
        path: "^src/",
        pathNot: [
          "^src/index\\.ts$",
          "^src/[a-z/]+/index\\.ts$",
          "^src/protos\\.ts$",
          "\\.d\\.ts$",
        ],
        orphan: true,
      },
      to: {},
    },
    { name: "not-resolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "types", "default"],
    },
  },
};
