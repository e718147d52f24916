import { createReadStream } from "node:fs";
import { CommanderError } from "commander";
import { fileTooLarge, unreadableFile } from "./errors.js";

/** The largest file that the command reads, in bytes: 64 MiB. */
const maxFileBytes = 64 * 1024 * 1024;

/**
 * Reads a file, a pipe or a device of at most 64 MiB.
 *
 * @throws CommanderError that names the file, if it is too large or cannot be read.
 */
export async function readBoundedFile(path: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  const stream: AsyncIterable<Buffer> = createReadStream(path);
  try {
    for await (const chunk of stream) {
      size += chunk.length;
      if (size > maxFileBytes) throw fileTooLarge(path, maxFileBytes);
      chunks.push(chunk);
    }
  } catch (cause) {
    throw cause instanceof CommanderError ? cause : unreadableFile(path, cause);
  }
  return Buffer.concat(chunks);
}
