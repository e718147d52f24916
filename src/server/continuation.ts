import { milliseconds } from "./method-policies.js";

/** What work says that goes on later. */
export interface ContinueOptions {
  /**
   * What the next attempt is handed, of at most 1 MiB. Default: the checkpoint that was
   * saved last stays.
   */
  checkpoint?: Uint8Array | undefined;
  /** Pause before the next attempt, in milliseconds, at least 0. Default: 0. */
  delayMs?: number | undefined;
}

/** The longest checkpoint, in bytes: 1 MiB. */
export const maxCheckpointBytes = 1024 * 1024;

/** What work returns in place of a response to go on in another attempt. */
export class Continuation {
  readonly checkpoint: Uint8Array | undefined;
  readonly delayMs: number;

  /** @throws RangeError for a checkpoint or a delay out of its bounds. */
  constructor({ checkpoint, delayMs }: ContinueOptions) {
    this.checkpoint = checkpoint && checkpointCopy(checkpoint);
    this.delayMs = milliseconds("delayMs", delayMs ?? 0);
  }
}

/**
 * A copy, as the caller may go on writing to its own.
 *
 * @throws RangeError for more than 1 MiB.
 */
export function checkpointCopy(checkpoint: Uint8Array): Uint8Array {
  if (checkpoint.length <= maxCheckpointBytes) return Uint8Array.from(checkpoint);
  throw new RangeError(
    `checkpoint must have at most ${maxCheckpointBytes} bytes, not ${checkpoint.length}`,
  );
}
