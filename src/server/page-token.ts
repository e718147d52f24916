import { base64Decode, base64Encode } from "@bufbuild/protobuf/wire";
import type { ListCursor } from "../store/operation-store.js";

/** Seals the position after a page, so that a client can neither read nor forge it. */
export interface PageTokens {
  /** Returns a URL-safe token for the page after `cursor` in the same list. */
  seal(cursor: ListCursor, list: ListIdentity): Promise<string>;
  /**
   * Returns the place in a token. Returns undefined for a token that was changed, that another key
   * sealed, or that is from another list.
   */
  open(token: string, list: ListIdentity): Promise<ListCursor | undefined>;
}

/** The parameters that must stay the same from page to page (AIP-158). The page size may change. */
export interface ListIdentity {
  parent: string;
  filter: string;
  /** The caller's principal. Empty if callers are not distinguished. */
  principal: string;
  /** Whether the pages leave out shards that are away. Absent: false. */
  isPartial?: boolean | undefined;
  /** The number of shards. Absent: the store has no shards. */
  shardCount?: number | undefined;
}

/** The first byte of a token: the layout of the bytes after it. */
const layout = 1;
const ivBytes = 12;
const keyBytes = 32;
/** Longer than any token of this server: a name has at most 1024 bytes. */
const maxTokenLength = 2048;
const utf8 = new TextEncoder();

/**
 * Makes page tokens that are sealed with AES-256-GCM. Replicas with the same key accept each
 * other's tokens.
 *
 * @param key 32 secret bytes. Default: a random key of this process.
 * @throws RangeError for a key of another length.
 */
export function createPageTokens(key: Uint8Array | undefined): PageTokens {
  if (key !== undefined && key.length !== keyBytes) {
    throw new RangeError(`pageTokenKey must have ${keyBytes} bytes, not ${key.length}`);
  }
  const given = key && Uint8Array.from(key);
  let secret: Promise<CryptoKey> | undefined;
  // The key is drawn at the first use, because Workers refuse random values outside of a request.
  const loadSecret = () => {
    secret ??= crypto.subtle.importKey(
      "raw",
      given ?? crypto.getRandomValues(new Uint8Array(keyBytes)),
      "AES-GCM",
      false,
      ["encrypt", "decrypt"],
    );
    return secret;
  };
  return {
    async seal(cursor, list) {
      const iv = crypto.getRandomValues(new Uint8Array(ivBytes));
      const algorithm = { name: "AES-GCM", iv, additionalData: bytesOfList(list) };
      const sealed = await crypto.subtle.encrypt(
        algorithm,
        await loadSecret(),
        bytesOfCursor(cursor),
      );
      const token = new Uint8Array(1 + ivBytes + sealed.byteLength);
      token[0] = layout;
      token.set(iv, 1);
      token.set(new Uint8Array(sealed), 1 + ivBytes);
      return base64Encode(token, "url");
    },
    async open(text, list) {
      const token = decode(text);
      if (token === undefined || token[0] !== layout || token.length <= 1 + ivBytes)
        return undefined;
      const iv = token.slice(1, 1 + ivBytes);
      const algorithm = { name: "AES-GCM", iv, additionalData: bytesOfList(list) };
      try {
        const sealed = token.slice(1 + ivBytes);
        return cursorFromBytes(await crypto.subtle.decrypt(algorithm, await loadSecret(), sealed));
      } catch {
        // AES-GCM reports only that no key of this server sealed the token.
        return undefined;
      }
    },
  };
}

function decode(token: string): Uint8Array<ArrayBuffer> | undefined {
  if (token.length > maxTokenLength) return undefined;
  try {
    const bytes = base64Decode(token);
    // Base64 ignores some bits of the last character, so the token is encoded again to detect a
    // change of these bits.
    return base64Encode(bytes, "url") === token ? bytes : undefined;
  } catch {
    return undefined;
  }
}

function bytesOfList({
  parent,
  filter,
  principal,
  isPartial,
  shardCount,
}: ListIdentity): Uint8Array<ArrayBuffer> {
  // Only lists over shards add these values, so that the tokens of other lists stay valid.
  const ofShards = shardCount === undefined ? [] : [shardCount, isPartial === true];
  return utf8.encode(JSON.stringify([parent, filter, principal, ...ofShards]));
}

function bytesOfCursor({ createTimeMicros, name }: ListCursor): Uint8Array<ArrayBuffer> {
  const nameBytes = utf8.encode(name);
  const bytes = new Uint8Array(8 + nameBytes.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(createTimeMicros));
  bytes.set(nameBytes, 8);
  return bytes;
}

function cursorFromBytes(bytes: ArrayBuffer): ListCursor {
  return {
    createTimeMicros: Number(new DataView(bytes).getBigUint64(0)),
    name: new TextDecoder().decode(new Uint8Array(bytes, 8)),
  };
}
