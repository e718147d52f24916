import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { repository } from "./pack-package.js";
import { run } from "./run.js";

/** A code block of the README that is a file of the reader's project. */
const fileBlock = /<!-- file: (?<path>\S+) -->\n```\w+\n(?<text>[\s\S]*?)```/g;

/** The commands of the README's chapter for beginners that make the project, line by line. */
const setUp = /In an empty folder:\n\n```sh\n(?<commands>[\s\S]*?)```/;

/**
 * Make a project, in a new folder within `directory`, as the README tells its
 * reader to: by its commands, with this package from `tarball`, and its files.
 */
export async function createReadmeProject(directory: string, tarball: string): Promise<string> {
  const project = await mkdtemp(join(directory, "readme-"));
  const readme = await readFile(join(repository, "README.md"), "utf8");
  const commands = setUp.exec(readme)?.groups?.commands;
  if (commands === undefined) throw new Error("the README has no commands to begin with");
  for (const line of commands.trim().split("\n")) {
    const [program = "", ...args] = line.split(" ");
    const options = args[0] === "install" ? ["--prefer-offline", "--no-audit", "--no-fund"] : [];
    const resolved = args.map((arg) => (arg === "connect-longrunning" ? tarball : arg));
    await run(project, program, ...resolved, ...options);
  }
  for (const { groups } of readme.matchAll(fileBlock)) {
    const { path = "", text = "" } = groups ?? {};
    await mkdir(dirname(join(project, path)), { recursive: true });
    await writeFile(join(project, path), text);
  }
  return project;
}
