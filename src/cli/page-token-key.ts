import { writeFile } from "node:fs/promises";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { badPageTokenKey, unwritableFile } from "./errors.js";
import { readBoundedFile } from "./read-bounded-file.js";

/** The environment variable that may hold the key. */
export const pageTokenKeyVariable = "LONGRUNNING_PAGE_TOKEN_KEY";

/** As `createOperations` wants it. */
const keyBytes = 32;

/**
 * The key that page tokens are sealed with, from a file of `openssl rand -base64 32`.
 *
 * @throws CommanderError for a file that cannot be read or holds no such key.
 */
export async function pageTokenKeyFromFile(path: string): Promise<Uint8Array> {
  const text = (await readBoundedFile(path)).toString("latin1");
  return pageTokenKeyFromText(text, path);
}

/**
 * The same from text; white space around it counts for nothing.
 *
 * @param from Where it is from, for the error, which never shows the key.
 * @throws CommanderError for text that is no such key.
 */
export function pageTokenKeyFromText(text: string, from: string): Uint8Array {
  const trimmed = text.trim();
  let key: Uint8Array | undefined;
  try {
    key = base64Decode(trimmed);
  } catch {
    // Told below.
  }
  if (key?.length !== keyBytes) throw badPageTokenKey(from, keyBytes);
  return key;
}

/**
 * The key that is kept beside a SQLite file, made with the first start: the tokens of a list
 * that somebody walks outlive a restart. Whoever may read the file may read the key, and nobody
 * else. Call it with the SQLite file open, which one process alone can have.
 *
 * @throws CommanderError for a key that cannot be read or written.
 */
export async function pageTokenKeyBeside(dataPath: string): Promise<Uint8Array> {
  const path = `${dataPath}-page-token-key`;
  const key = crypto.getRandomValues(new Uint8Array(keyBytes));
  try {
    const text = `${Buffer.from(key).toString("base64")}\n`;
    await writeFile(path, text, { flag: "wx", mode: 0o600 });
    return key;
  } catch (cause) {
    const isThere = cause instanceof Error && "code" in cause && cause.code === "EEXIST";
    if (!isThere) throw unwritableFile(path, cause);
  }
  return pageTokenKeyFromFile(path);
}
