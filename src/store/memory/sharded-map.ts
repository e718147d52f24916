/**
 * A map of strings that grows and shrinks a little at a time. A Map moves all of its entries
 * whenever its capacity doubles or halves. With a million entries, that blocked the process for 100
 * ms and more.
 */
export interface ShardedMap<Value> {
  get(key: string): Value | undefined;
  has(key: string): boolean;
  set(key: string, value: Value): void;
  delete(key: string): void;
  clear(): void;
}

/** A power of two. */
const shardCount = 256;

/** The end of a key, where names and request ids have what is random in them. */
const hashedLength = 8;

export function createShardedMap<Value>(): ShardedMap<Value> {
  const shards = new Map<number, Map<string, Value>>();
  const shardOf = (key: string) => {
    let hash = 0;
    for (let at = Math.max(0, key.length - hashedLength); at < key.length; at += 1) {
      hash = (hash * 31 + key.charCodeAt(at)) | 0;
    }
    return hash & (shardCount - 1);
  };
  return {
    get: (key) => shards.get(shardOf(key))?.get(key),
    has: (key) => shards.get(shardOf(key))?.has(key) ?? false,
    set(key, value) {
      const at = shardOf(key);
      const shard = shards.get(at) ?? new Map<string, Value>();
      shards.set(at, shard);
      shard.set(key, value);
    },
    delete(key) {
      const at = shardOf(key);
      const shard = shards.get(at);
      shard?.delete(key);
      if (shard?.size === 0) shards.delete(at);
    },
    clear: () => shards.clear(),
  };
}
