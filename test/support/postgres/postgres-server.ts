import type { TestProject } from "vitest/node";
import { startPostgres } from "./start-postgres.js";

declare module "vitest" {
  interface ProvidedContext {
    /** The URL of a server on which the tests may create databases. */
    databaseUrl: string;
  }
}

/**
 * One PostgreSQL for all tests that want one: the server that `DATABASE_URL` names, or one
 * started here and removed afterwards.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env.DATABASE_URL;
  if (given !== undefined && given !== "") {
    project.provide("databaseUrl", given);
    return async () => undefined;
  }
  const server = await startPostgres(false);
  project.provide("databaseUrl", server.url);
  return server.stop;
}
