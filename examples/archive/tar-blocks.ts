import { Header, type HeaderData, Pax } from "tar";
import type { ListedFile } from "./list-files.js";

/** A tar archive is a sequence of blocks of this many bytes. */
const blockBytes = 512;

/** Returns the header before a file's content: its name and its other attributes. */
export function tarHeader(file: ListedFile): Buffer {
  const fields: HeaderData = {
    path: file.name,
    mode: file.mode & 0o7777,
    size: file.size,
    mtime: new Date(file.mtimeMs),
    ...(file.linkTarget === undefined
      ? { type: "File" }
      : { type: "SymbolicLink", linkpath: file.linkTarget }),
  };
  const block = Buffer.alloc(blockBytes);
  const needsPax = new Header(fields).encode(block);
  // A name of just 100 bytes would be written as "./name".
  return needsPax || Buffer.byteLength(file.name) === 100
    ? Buffer.concat([new Pax(fields).encode(), block])
    : block;
}

/** Returns the padding after a file's content: zeros up to a whole block. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((blockBytes - (size % blockBytes)) % blockBytes);
}

/** Returns the end of an archive: two blocks of zeros. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * blockBytes);
}
