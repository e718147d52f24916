import { isBuiltin } from "node:module";

/** The drivers that this Node can load: node:sqlite came with 22.13. */
export const drivers = isBuiltin("node:sqlite")
  ? (["libsql", "node:sqlite"] as const)
  : (["libsql"] as const);
