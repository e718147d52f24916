import { databaseVariable } from "../bench-postgres.js";

/** @throws Error where the parent has named none. */
export function databaseUrl(): string {
  const url = process.env[databaseVariable];
  if (url === undefined) throw new Error(`${databaseVariable} is not set`);
  return url;
}
