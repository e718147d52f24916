import { copyFile, mkdir, mkdtemp, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { repository } from "./pack-package.js";
import { run } from "./run.js";

/** A code block that is a file of the reader's project. */
const fileBlock = /<!-- file: (?<path>\S+) -->\n```\w+\n(?<text>[\s\S]*?)```/g;

/** The commands that make the project, line by line. */
const setUp = /In an empty folder:\n\n```sh\n(?<commands>[\s\S]*?)```/;

/** The pages whose files make one project. */
const guidePages = [
  "docs/guide/first-service.md",
  "docs/guide/work.md",
  "docs/guide/client.md",
  "docs/guide/access.md",
  "docs/guide/external-work.md",
  "docs/guide/rest.md",
  "docs/guide/mcp.md",
  "docs/guide/testing.md",
  "docs/operate/choose-a-store.md",
  "docs/coming-from/google-gax.md",
  "docs/coming-from/azure-core-lro.md",
  "docs/coming-from/bullmq-and-pg-boss.md",
  "docs/coming-from/temporal-activities.md",
];

/** Makes the guide's project in a new folder within `directory`, with this package from `tarball`. */
export async function createGuideProject(directory: string, tarball: string): Promise<string> {
  const project = await mkdtemp(join(directory, "guide-"));
  const start = await readFile(join(repository, "docs/guide/first-service.md"), "utf8");
  const commands = setUp.exec(start)?.groups?.commands;
  if (commands === undefined) throw new Error("the guide has no commands to begin with");
  for (const line of commands.trim().split("\n")) {
    const [program = "", ...args] = line.split(" ");
    const options = args[0] === "install" ? ["--prefer-offline", "--no-audit", "--no-fund"] : [];
    const resolved = args.map((arg) => (arg === "connect-longrunning" ? tarball : arg));
    await run(project, program, ...resolved, ...options);
  }
  for (const page of guidePages) await writeFilesOf(page, project);
  return project;
}

/** Makes a copy of the guide's project in which the README's files replace the guide's. */
export async function createReadmeProject(directory: string, guide: string): Promise<string> {
  const project = await mkdtemp(join(directory, "readme-"));
  await symlink(join(guide, "node_modules"), join(project, "node_modules"));
  await copyFile(join(guide, "package.json"), join(project, "package.json"));
  await writeFilesOf("docs/guide/first-service.md", project);
  await writeFilesOf("README.md", project);
  return project;
}

/** Writes the files that a document shows into a project. */
async function writeFilesOf(page: string, project: string): Promise<void> {
  const text = await readFile(join(repository, page), "utf8");
  const files = [...text.matchAll(fileBlock)];
  if (files.length === 0) throw new Error(`${page} shows no file`);
  for (const { groups } of files) {
    const { path = "", text = "" } = groups ?? {};
    await mkdir(dirname(join(project, path)), { recursive: true });
    await writeFile(join(project, path), text);
  }
}
