import { writeFile } from "node:fs/promises";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { badPageTokenKey, unwritableFile } from "./errors.js";
import { readBoundedFile } from "./read-bounded-file.js";

/** The environment variable that may hold the key. */
export const pageTokenKeyVariable = "LONGRUNNING_PAGE_TOKEN_KEY";

/** The length that `createOperations` requires, in bytes. */
const keyBytes = 32;

/**
 * Reads the key that seals page tokens from a file of `openssl rand -base64 32`.
 *
 * @throws CommanderError if the file cannot be read or does not hold a key.
 */
export async function pageTokenKeyFromFile(path: string): Promise<Uint8Array> {
  const text = (await readBoundedFile(path)).toString("latin1");
  return pageTokenKeyFromText(text, path);
}

/**
 * Reads the key from text, whose surrounding white space is ignored.
 *
 * @param from The source of the text, for the error, which never shows the key.
 * @throws CommanderError if the text is not a key.
 */
export function pageTokenKeyFromText(text: string, from: string): Uint8Array {
  const trimmed = text.trim();
  let key: Uint8Array | undefined;
  try {
    key = base64Decode(trimmed);
  } catch {
    // The check below reports the error.
  }
  if (key?.length !== keyBytes) throw badPageTokenKey(from, keyBytes);
  return key;
}

/**
 * Reads the key beside a SQLite file, or makes one at the first start, so that page tokens outlive
 * a restart. The key has the permissions of the SQLite file. Call it while the SQLite file is open,
 * because one process alone can open that file.
 *
 * @throws CommanderError if the key cannot be read or written.
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
