import { cp, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./run.js";

const fixtures = fileURLToPath(new URL("../fixtures", import.meta.url));

/** Versions by package name. */
export type Versions = Readonly<Record<string, string>>;

/** Make a project of a fixture, in a new folder within `directory`. Nothing is installed yet. */
export async function createProject(fixture: string, directory: string): Promise<string> {
  const project = await mkdtemp(join(directory, `${fixture}-`));
  await cp(join(fixtures, fixture), project, { recursive: true });
  return project;
}

/**
 * Install this package from its tarball, and from the registry what the project
 * asks for, in `versions` where they name it. npm refuses versions that our peer
 * dependencies do not allow.
 */
export async function install(
  project: string,
  tarball: string,
  versions: Versions = {},
): Promise<void> {
  const path = join(project, "package.json");
  const manifest = JSON.parse(await readFile(path, "utf8")) as Manifest;
  manifest.dependencies = pinned(manifest.dependencies, versions);
  manifest.devDependencies = pinned(manifest.devDependencies, versions);
  await writeFile(path, JSON.stringify(manifest));
  const options = ["--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];
  await run(project, "npm", "install", tarball, ...options);
}

interface Manifest {
  dependencies: Versions;
  devDependencies: Versions;
}

function pinned(dependencies: Versions, versions: Versions): Versions {
  const entries = Object.entries(dependencies);
  return Object.fromEntries(entries.map(([name, version]) => [name, versions[name] ?? version]));
}
