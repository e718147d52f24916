// The site of the documents. It has the paths of the repository, so that a link works on the site as it works there.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, join, posix, resolve } from "node:path";
import { defineConfig } from "vitepress";

const repository = resolve(import.meta.dirname, "../..");

/** Files without a page that pages link to. They are copied, so that the links work. */
const linkedFiles = new Set<string>();

copyPages();

export default defineConfig({
  title: "connect-longrunning",
  description: "Long-running operations (google.longrunning, AIP-151) for Connect-ES",
  srcDir: ".vitepress/pages",
  rewrites: (page) => page.replace(/(^|\/)README\.md$/, "$1index.md"),
  cleanUrls: false,
  lastUpdated: false,
  // Every other dead link fails the build.
  ignoreDeadLinks: [(link) => linkedFiles.has(link.replace(/^\//, ""))],
  vite: { build: { chunkSizeWarningLimit: 4000 } },
  markdown: {
    config(md) {
      md.core.ruler.push("links-of-the-repository", ({ tokens, env }) => {
        for (const token of tokens.flatMap(({ children }) => children ?? [])) {
          const href = token.type === "link_open" ? token.attrGet("href") : null;
          if (href !== null) token.attrSet("href", siteLink(href, env.relativePath ?? ""));
        }
      });
    },
  },
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    nav: [
      { text: "Guide", link: "/docs/guide/first-service" },
      { text: "Operate", link: "/docs/operate/choose-a-store" },
      { text: "Conformance", link: "/docs/conformance/" },
      { text: "API", link: "/docs/api/" },
    ],
    sidebar: [
      {
        text: "Start",
        items: [
          { text: "Overview", link: "/" },
          { text: "All pages", link: "/docs/" },
        ],
      },
      { text: "Guide", items: pagesOf("docs/guide") },
      { text: "Operate", items: pagesOf("docs/operate") },
      { text: "Coming from", items: pagesOf("docs/coming-from") },
      {
        text: "Reference",
        items: [...pagesOf("docs/reference"), { text: "API", link: "/docs/api/" }],
      },
      { text: "Conformance", collapsed: true, items: pagesOf("docs/conformance") },
      {
        text: "Internals",
        collapsed: true,
        items: [{ text: "Architecture", link: "/ARCHITECTURE" }, ...pagesOf("docs/internals")],
      },
      {
        text: "Project",
        collapsed: true,
        items: [
          { text: "Changes", link: "/CHANGELOG" },
          { text: "Security", link: "/SECURITY" },
          { text: "Contributing", link: "/CONTRIBUTING" },
          { text: "Benchmarks", link: "/bench/" },
        ],
      },
    ],
  },
  buildEnd({ outDir }) {
    for (const file of linkedFiles) {
      mkdirSync(dirname(join(outDir, file)), { recursive: true });
      copyFileSync(join(repository, file), join(outDir, file));
    }
  },
});

/** Copies the pages, because VitePress finds its packages from the folder of a page. */
function copyPages() {
  const pages = join(import.meta.dirname, "pages");
  rmSync(pages, { recursive: true, force: true });
  const tops = readdirSync(repository).filter((name) => name.endsWith(".md"));
  const nested = ["docs", "examples", "bench", "conformance"].flatMap((folder) =>
    readdirSync(join(repository, folder), { recursive: true, encoding: "utf8" })
      .filter((path) => /\.(md|png|svg)$/.test(path) && !/node_modules|\.vitepress/.test(path))
      .map((path) => join(folder, path)),
  );
  for (const page of [...tops, ...nested]) {
    mkdirSync(dirname(join(pages, page)), { recursive: true });
    copyFileSync(join(repository, page), join(pages, page));
  }
}

/** The pages of a folder by their headings: first those of docs/README.md, in its order. */
function pagesOf(folder: string) {
  const order = readFileSync(join(repository, "docs/README.md"), "utf8");
  const placeOf = (name: string) => {
    const place = order.indexOf(`](${posix.join(folder, name).replace(/^docs\//, "")})`);
    return place < 0 ? order.length : place;
  };
  return readdirSync(join(repository, folder))
    .filter((name) => name.endsWith(".md"))
    .sort((a, b) => placeOf(a) - placeOf(b))
    .map((name) => {
      const [, heading = name] =
        /^# (.+)$/m.exec(readFileSync(join(repository, folder, name), "utf8")) ?? [];
      const page = name === "README.md" ? "" : name.replace(/\.md$/, "");
      return { text: heading, link: `/${folder}/${page}` };
    });
}

/** The link on the site for a link in a page: folders and READMEs are index pages, other files are copied. */
function siteLink(href: string, page: string): string {
  if (/^([a-z]+:|#|\/)/.test(href)) return href;
  const [path = "", anchor] = href.split("#");
  const target = posix.normalize(posix.join(posix.dirname(page), path)).replace(/\/$/, "");
  const suffix = anchor === undefined ? "" : `#${anchor}`;
  const file = join(repository, target);
  if (!existsSync(file)) return href; // VitePress reports it as a dead link
  if (statSync(file).isDirectory()) {
    return existsSync(join(file, "README.md")) ? `/${target}/${suffix}` : href;
  }
  if (target.endsWith("README.md")) return `/${target.replace(/README\.md$/, "")}${suffix}`;
  if (target.endsWith(".md")) return href;
  linkedFiles.add(target);
  return `/${target}${suffix}`;
}
