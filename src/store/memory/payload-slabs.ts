import { createPagedCells, type PagedCells } from "./paged-cells.js";
import { bytesPerWord, type PayloadCopies } from "./payload-copies.js";

/**
 * Many byte strings, most of them short. A separate Uint8Array costs about 200 bytes in addition to
 * its content, so short strings share pages of cells of equal size.
 */
export interface PayloadSlabs {
  /** Keep a copy, and return the number to get it back by: 0 for undefined. */
  put(bytes: Uint8Array | undefined): number;
  /** Returns the bytes, copied by `copies`; undefined for 0. The caller must not change them. */
  get(handle: number, copies: PayloadCopies): Uint8Array | undefined;
  /** How many bytes `get` copies: none of those that have an array of their own. */
  copiedLengthOf(handle: number): number;
  /** Forget the bytes; nothing for 0. */
  free(handle: number): void;
  /** Returns the size of the cell of these bytes, including its unused end. */
  bytesOf(handle: number): number;
  /** Returns the size of all cells in use, including their unused ends. */
  heldBytes(): number;
}

/** Returns the size of the cell that `put` would use, including its unused end. */
export function slabBytes(bytes: Uint8Array | undefined): number {
  if (bytes === undefined || bytes.length === 0) return 0;
  return cellSizes[sizeClassOf(bytes.length)] ?? bytes.length + ownArrayBytes;
}

/** The first word of a cell says how many bytes are in use. */
const headerBytes = bytesPerWord;

/** Four sizes per doubling, so that a fifth of a cell is empty at most, but for the smallest. */
const cellSizes: readonly number[] = sizesFrom(16, 2048);

/** The class of the smallest cell of at least eight times this number of bytes. */
const classByEighth = Uint8Array.from({ length: 2048 / 8 + 1 }, (_, eighth) =>
  cellSizes.findIndex((size) => size >= eighth * 8),
);

/** The size of a separate array without its content. */
const ownArrayBytes = 200;

/** The approximate size of a page of cells, in bytes. */
const pageBytes = 32 * 1024;

/** The value of an empty payload. */
export const noContent = new Uint8Array(0);

const noBytes = 0;
const emptyBytes = 1;
/** A handle is its number within its size class, the class and these. */
const firstHandle = 2;
const sizeClasses = 32;
const ownArray = sizeClasses - 1;

interface SlabPage {
  readonly bytes: Uint8Array;
  /** The memory of `bytes` as words, for the headers and for copies. */
  readonly words: Uint32Array;
}

interface Slab {
  readonly cellSize: number;
  readonly mask: number;
  readonly cells: PagedCells<SlabPage>;
}

export function createPayloadSlabs(): PayloadSlabs {
  const slabs = cellSizes.map(createSlab);
  const ownArrays = new Map<number, Uint8Array>();
  const vacantNumbers: number[] = [];
  let heldBytes = 0;

  const putOwn = (bytes: Uint8Array) => {
    const number = vacantNumbers.pop() ?? ownArrays.size;
    // `slice` would not copy, because Buffer's `slice` returns a view.
    ownArrays.set(number, new Uint8Array(bytes));
    return number;
  };

  const putCell = ({ cells, cellSize, mask }: Slab, bytes: Uint8Array) => {
    const cell = cells.take();
    const page = cells.pageOf(cell);
    const start = (cell & mask) * cellSize;
    page.words[start / headerBytes] = bytes.length;
    page.bytes.set(bytes, start + headerBytes);
    return cell;
  };

  const copiedLengthOf = (handle: number) => {
    if (handle === noBytes || handle === emptyBytes) return 0;
    const [sizeClass, number] = partsOf(handle);
    const slab = slabs[sizeClass];
    if (slab === undefined) return 0;
    return (
      slab.cells.pageOf(number).words[((number & slab.mask) * slab.cellSize) / headerBytes] ?? 0
    );
  };

  const bytesOf = (handle: number) => {
    if (handle === noBytes || handle === emptyBytes) return 0;
    const [sizeClass, number] = partsOf(handle);
    return slabs[sizeClass]?.cellSize ?? slabBytes(ownArrays.get(number));
  };

  return {
    put(bytes) {
      if (bytes === undefined) return noBytes;
      if (bytes.length === 0) return emptyBytes;
      heldBytes += slabBytes(bytes);
      const sizeClass = sizeClassOf(bytes.length);
      const slab = slabs[sizeClass];
      const number = slab === undefined ? putOwn(bytes) : putCell(slab, bytes);
      return number * sizeClasses + sizeClass + firstHandle;
    },
    get(handle, copies) {
      if (handle === noBytes) return undefined;
      if (handle === emptyBytes) return noContent;
      const [sizeClass, number] = partsOf(handle);
      const slab = slabs[sizeClass];
      if (slab === undefined) return ownArrays.get(number);
      const page = slab.cells.pageOf(number);
      const start = (number & slab.mask) * slab.cellSize;
      const head = start / bytesPerWord;
      return copies.copy(page.words, head + 1, page.words[head] ?? 0);
    },
    free(handle) {
      if (handle === noBytes || handle === emptyBytes) return;
      heldBytes -= bytesOf(handle);
      const [sizeClass, number] = partsOf(handle);
      const slab = slabs[sizeClass];
      if (slab !== undefined) {
        slab.cells.free(number);
        return;
      }
      ownArrays.delete(number);
      vacantNumbers.push(number);
    },
    copiedLengthOf,
    bytesOf,
    heldBytes: () => heldBytes,
  };
}

function createSlab(cellSize: number): Slab {
  const sizeBits = Math.floor(Math.log2(pageBytes / cellSize));
  const size = 2 ** sizeBits;
  const cells = createPagedCells(sizeBits, () => {
    const bytes = new Uint8Array(cellSize * size);
    return { bytes, words: new Uint32Array(bytes.buffer) };
  });
  return { cellSize, mask: size - 1, cells };
}

function partsOf(handle: number): [sizeClass: number, number: number] {
  const whole = handle - firstHandle;
  return [whole % sizeClasses, Math.floor(whole / sizeClasses)];
}

/** Returns the class of the smallest cell for a number of bytes, or the class of separate arrays. */
function sizeClassOf(length: number): number {
  return classByEighth[Math.ceil((length + headerBytes) / 8)] ?? ownArray;
}

function sizesFrom(smallest: number, largest: number): number[] {
  const sizes: number[] = [];
  for (let size = smallest; size <= largest; ) {
    sizes.push(size);
    size += Math.max(8, 2 ** (Math.floor(Math.log2(size)) - 2));
  }
  return sizes;
}
