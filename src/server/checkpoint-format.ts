import {
  type DescMessage,
  fromBinary,
  type JsonValue,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";

/**
 * Encodes the checkpoints of a method, so that its work saves and reads values of the type `C`.
 * `messageCheckpoint` and `jsonCheckpoint` make one.
 */
export interface CheckpointFormat<C> {
  /** @throws TypeError for a value that has no encoding. */
  encode(checkpoint: C): Uint8Array;
  /** @throws Error for bytes that are not an encoded `C`. */
  decode(bytes: Uint8Array): C;
}

/** Returns the format of checkpoints that are messages of one type, in the binary encoding. */
export function messageCheckpoint<D extends DescMessage>(
  schema: D,
): CheckpointFormat<MessageShape<D>> {
  return {
    encode: (message) => toBinary(schema, message),
    // The bytes are copied, because the message's `bytes` fields are views of them.
    decode: (bytes) => fromBinary(schema, Uint8Array.from(bytes)),
  };
}

/** Returns the format of checkpoints that are JSON values of the type `C`, which is not checked. */
export function jsonCheckpoint<C extends JsonValue>(): CheckpointFormat<C> {
  return {
    encode(value) {
      const text: string | undefined = JSON.stringify(value);
      if (text === undefined) throw new TypeError(`a checkpoint of ${typeof value} is not JSON`);
      return new TextEncoder().encode(text);
    },
    decode: (bytes) => JSON.parse(new TextDecoder().decode(bytes)),
  };
}

/** Copies, because the work may reuse its array. */
const bytesCheckpoint: CheckpointFormat<Uint8Array> = {
  encode: (bytes) => Uint8Array.from(bytes),
  decode: (bytes) => Uint8Array.from(bytes),
};

/** Returns the format of a method's checkpoints: bytes, if the method declares no other. */
export function checkpointFormat<C>(declared: CheckpointFormat<C> | undefined) {
  // Without a declared format, only the default of the type parameter determines `C`, and that
  // default is bytes.
  return declared ?? (bytesCheckpoint as unknown as CheckpointFormat<C>);
}

/** The limit of an encoded checkpoint: 1 MiB. */
const maxCheckpointBytes = 1024 * 1024;

/** @throws RangeError for a checkpoint of more than 1 MiB. */
export function encodeCheckpoint<C>(format: CheckpointFormat<C>, checkpoint: C): Uint8Array {
  const bytes = format.encode(checkpoint);
  if (bytes.length <= maxCheckpointBytes) return bytes;
  throw new RangeError(
    `checkpoint must have at most ${maxCheckpointBytes} bytes, not ${bytes.length}`,
  );
}
