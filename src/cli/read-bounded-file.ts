import { createReadStream } from "node:fs";
import { CommanderError } from "commander";
import { fileTooLarge, unreadableFile } from "./errors.js";

/** Largest file that the command reads, in bytes: 64 MiB. */
const maxFileBytes = 64 * 1024 * 1024;

/**
 * The bytes of a file, or of what else has a path, of at most 64 MiB.
 *
 * @throws CommanderError that names the file, for one that is too large or cannot be read.
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
