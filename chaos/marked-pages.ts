/** More attempts than any operation takes. */
const maxAttempts = 1000;

/** A number of pages that shows by which attempt they were printed. */
export function markedPages(pages: number, attempt: number): number {
  return pages * maxAttempts + attempt;
}

export function readMarkedPages(marked: number): { pages: number; attempt: number } {
  return { pages: Math.floor(marked / maxAttempts), attempt: marked % maxAttempts };
}
