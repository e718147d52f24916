import { numberOf } from "../sql/row.js";
import type { SqliteDatabase } from "./sqlite-database.js";

/** Reports when the file has reached its maximum size. */
export interface FileBound {
  /** Whether a start has to be refused. It looks only now and then. */
  isReached(): boolean;
}

/** The number of starts between two checks of the size, while there is room. */
const startsBetweenLooks = 100;

/**
 * Creates a file limit. Freed pages count as room, because SQLite writes to them before the file
 * grows.
 */
export function createFileBound(database: SqliteDatabase, maxBytes: number): FileBound {
  let startsToNextLook = 0;
  const read = (name: string) => {
    const [row] = database.rows(`pragma ${name}`);
    return row === undefined ? 0 : numberOf(row, name);
  };
  return {
    isReached() {
      if (maxBytes === Number.POSITIVE_INFINITY) return false;
      if (startsToNextLook > 0) {
        startsToNextLook -= 1;
        return false;
      }
      const usedPages = read("page_count") - read("freelist_count");
      const isReached = usedPages * read("page_size") >= maxBytes;
      startsToNextLook = isReached ? 0 : startsBetweenLooks - 1;
      return isReached;
    },
  };
}
