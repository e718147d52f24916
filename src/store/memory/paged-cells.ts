/** Numbered cells in pages. A page is created with its first cell and released with its last one. */
export interface PagedCells<Page> {
  /** Takes a free cell, which still has the content of its last user. */
  take(): number;
  /** Give a cell back. */
  free(cell: number): void;
  /** The page of a cell that is taken; the cell's place in it is its number modulo the page's size. */
  pageOf(cell: number): Page;
  /** How many cells are taken. */
  taken(): number;
}

/** A page and which of its cells are free: a chain of those that came back, and those never taken. */
interface CellPage<Page> {
  readonly content: Page;
  readonly nextFree: Uint16Array;
  firstFree: number;
  firstUnused: number;
  taken: number;
}

const none = 0xffff;

/** @param sizeBits The binary logarithm of how many cells a page has, at most 15. */
export function createPagedCells<Page>(sizeBits: number, createPage: () => Page): PagedCells<Page> {
  const size = 2 ** sizeBits;
  const mask = size - 1;
  const pages: (CellPage<Page> | undefined)[] = [];
  /** The pages that have a free cell, each once; among them some that are gone by now. */
  const open: number[] = [];
  /** Numbers of pages that are gone, and that `open` does not hold any more. */
  const vacant: number[] = [];
  let taken = 0;

  const openPage = (): [number, CellPage<Page>] => {
    for (let at = open.at(-1); at !== undefined; at = open.at(-1)) {
      const page = pages[at];
      if (page !== undefined) return [at, page];
      open.pop();
      vacant.push(at);
    }
    const page = {
      content: createPage(),
      nextFree: new Uint16Array(size),
      firstFree: none,
      firstUnused: 0,
      taken: 0,
    };
    const at = vacant.pop() ?? pages.length;
    pages[at] = page;
    open.push(at);
    return [at, page];
  };

  const existing = (cell: number) => {
    const page = pages[cell >>> sizeBits];
    if (page === undefined) throw new RangeError(`cell ${cell} is not taken`);
    return page;
  };

  return {
    take() {
      const [at, page] = openPage();
      let cell = page.firstFree;
      if (cell === none) {
        cell = page.firstUnused;
        page.firstUnused += 1;
      } else {
        page.firstFree = page.nextFree[cell] ?? none;
      }
      page.taken += 1;
      taken += 1;
      if (page.taken === size) open.pop();
      return at * size + cell;
    },
    free(cell) {
      const at = cell >>> sizeBits;
      const page = existing(cell);
      page.nextFree[cell & mask] = page.firstFree;
      page.firstFree = cell & mask;
      if (page.taken === size) open.push(at);
      page.taken -= 1;
      taken -= 1;
      // The page in use is kept even if it is empty, so that one cell does not allocate and free it
      // repeatedly.
      if (page.taken === 0 && open.at(-1) !== at) pages[at] = undefined;
    },
    pageOf: (cell) => existing(cell).content,
    taken: () => taken,
  };
}
