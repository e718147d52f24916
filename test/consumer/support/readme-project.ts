import { cp, mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { repository } from "./pack-package.js";

/** A code block of the README that is a file of the reader's project. */
const fileBlock = /<!-- file: (?<path>\S+) -->\n```\w+\n(?<text>[\s\S]*?)```/g;

/**
 * Make a project, in a new folder within `directory`, of the files that the README
 * shows and the package.json and tsconfig.json of `like`.
 */
export async function createReadmeProject(directory: string, like: string): Promise<string> {
  const project = await mkdtemp(join(directory, "readme-"));
  for (const name of ["package.json", "tsconfig.json"]) {
    await cp(join(like, name), join(project, name));
  }
  const readme = await readFile(join(repository, "README.md"), "utf8");
  for (const { groups } of readme.matchAll(fileBlock)) {
    const { path = "", text = "" } = groups ?? {};
    await mkdir(dirname(join(project, path)), { recursive: true });
    await writeFile(join(project, path), text);
  }
  return project;
}
