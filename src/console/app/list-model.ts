/**
 * The loaded part of a list, as pages. A page is loaded by its token and loaded again by the same
 * token while it is visible. New operations move others from the end of a page past it, so a page
 * that is loaded again may be split: the moved rows become a page of their own, whose token is the
 * new page's next token. No row is in two pages.
 */
export interface ListModel<Row extends NamedRow> {
  readonly pages: readonly ListPage<Row>[];
  /** The token of the next page to load; undefined at the end of the list. */
  readonly nextToken: string | undefined;
  /** All rows in the order of the server. */
  readonly rows: readonly Row[];
}

export interface NamedRow {
  readonly name: string;
}

export interface ListPage<Row> {
  /** Empty for the first page. */
  readonly token: string;
  readonly rows: readonly Row[];
}

export const emptyList: ListModel<never> = { pages: [], nextToken: "", rows: [] };

/** Adds the page that `nextToken` names. */
export function withNextPage<Row extends NamedRow>(
  list: ListModel<Row>,
  rows: readonly Row[],
  nextToken: string,
): ListModel<Row> {
  const known = new Set(list.rows.map(({ name }) => name));
  const news = rows.filter(({ name }) => !known.has(name));
  const page = { token: list.nextToken ?? "", rows: news };
  return listOf([...list.pages, page], nextToken === "" ? undefined : nextToken);
}

/**
 * Replaces a page by its new content.
 *
 * @param at The index of the page.
 * @param nextToken The token after the new content; empty if it is the end of the list.
 */
export function withPageAgain<Row extends NamedRow>(
  list: ListModel<Row>,
  at: number,
  rows: readonly Row[],
  nextToken: string,
): ListModel<Row> {
  const before = list.pages[at];
  if (before === undefined) return list;
  const page = { token: before.token, rows };
  const earlier = list.pages.slice(0, at);
  if (nextToken === "") return listOf(withoutRows([...earlier], rows).concat(page), undefined);
  const shown = new Set(rows.map(({ name }) => name));
  const lastCommon = before.rows.findLastIndex(({ name }) => shown.has(name));
  // Rows before the last common row are gone; rows after it may have moved past the page's end.
  const moved = rows.length === 0 ? [] : before.rows.slice(lastCommon + 1);
  const tail = moved.length === 0 ? [] : [{ token: nextToken, rows: moved }];
  const later = withoutRows([...tail, ...list.pages.slice(at + 1)], rows);
  const isLast = at === list.pages.length - 1;
  return listOf(
    [...withoutRows(earlier, rows), page, ...later.filter((one) => one.rows.length > 0)],
    isLast && tail.length === 0 ? nextToken : list.nextToken,
  );
}

/** Removes a row, and replaces it by `row` if that is given. */
export function withRow<Row extends NamedRow>(
  list: ListModel<Row>,
  name: string,
  row: Row | undefined,
): ListModel<Row> {
  if (!list.rows.some((one) => one.name === name)) return list;
  const pages = list.pages.map((page) => ({
    ...page,
    rows: page.rows.flatMap((one) => (one.name !== name ? [one] : row === undefined ? [] : [row])),
  }));
  return listOf(pages, list.nextToken);
}

/** Returns the indexes of the pages with the rows from `first` to `last`, and 0 for an empty list. */
export function pagesAt<Row extends NamedRow>(
  { pages }: ListModel<Row>,
  first: number,
  last: number,
): number[] {
  const found: number[] = [];
  let start = 0;
  for (const [at, { rows }] of pages.entries()) {
    if (start <= last && start + rows.length > first) found.push(at);
    start += rows.length;
  }
  return found.length === 0 && pages.length > 0 ? [0] : found;
}

function withoutRows<Row extends NamedRow>(
  pages: readonly ListPage<Row>[],
  rows: readonly Row[],
): ListPage<Row>[] {
  const names = new Set(rows.map(({ name }) => name));
  return pages.map((page) =>
    page.rows.some(({ name }) => names.has(name))
      ? { ...page, rows: page.rows.filter(({ name }) => !names.has(name)) }
      : page,
  );
}

function listOf<Row extends NamedRow>(
  pages: readonly ListPage<Row>[],
  nextToken: string | undefined,
): ListModel<Row> {
  return { pages, nextToken, rows: pages.flatMap(({ rows }) => rows) };
}
