/** A link to a file of the same repository or package; the path is empty within one page. */
export interface RelativeLink {
  readonly path: string;
  /** The heading that the link names, without "#". */
  readonly anchor: string | undefined;
}

/** Returns the relative links of a Markdown page, outside of code blocks. */
export function relativeLinksOf(markdown: string): RelativeLink[] {
  const prose = markdown.replace(/^```[\s\S]*?^```/gm, "");
  const links = prose.matchAll(/\]\((?<path>[^)#\s]*)(?:#(?<anchor>[^)\s]*))?(?:\s[^)]*)?\)/g);
  return Array.from(links, ({ groups }) => ({
    path: (groups?.path ?? "").replace(/\/$/, ""),
    anchor: groups?.anchor,
  })).filter(({ path }) => !/^[a-z]+:/.test(path));
}

/** Returns the anchors of a page's headings, as GitHub makes them. */
export function anchorsOf(markdown: string): string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```/gm, "");
  return Array.from(prose.matchAll(/^#+ (?<title>.+)$/gm), ({ groups }) =>
    (groups?.title ?? "")
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .trim()
      .replace(/\s/g, "-"),
  );
}
