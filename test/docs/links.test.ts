import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, posix, resolve } from "node:path";
import { expect, it } from "vitest";
import { anchorsOf, relativeLinksOf } from "../support/markdown-links.js";

const root = resolve(import.meta.dirname, "../..");

const pages = spawnSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"], {
  cwd: root,
  encoding: "utf8",
})
  .stdout.trim()
  .split("\n");

it("finds the pages", () => {
  expect(pages).toEqual(expect.arrayContaining(["README.md", "docs/guide/work.md"]));
});

it.each(pages)("%s links to files and headings that exist", (page) => {
  const broken = relativeLinksOf(readFileSync(join(root, page), "utf8")).filter(
    ({ path, anchor }) => {
      const target = path === "" ? page : posix.normalize(posix.join(dirname(page), path));
      if (!existsSync(join(root, target))) return true;
      if (anchor === undefined || !target.endsWith(".md")) return false;
      return !anchorsOf(readFileSync(join(root, target), "utf8")).includes(anchor);
    },
  );
  expect(broken).toEqual([]);
});

it("every page of docs/ is in the list of documents", () => {
  const listed = relativeLinksOf(readFileSync(join(root, "docs/README.md"), "utf8")).map(
    ({ path }) => posix.join("docs", path),
  );
  const unlisted = pages.filter(
    (page) => /^docs\/(guide|operate|reference|coming-from)\//.test(page) && !listed.includes(page),
  );
  expect(unlisted).toEqual([]);
});
