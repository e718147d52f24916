/** The state that the next attempt goes on from. */
export interface PartCheckpoint {
  /** The file that the archive has grown in so far. */
  readonly workFile: string;
  /** Tells one state of the folder from another. */
  readonly listing: string;
  /** How many files of the list are in the archive. */
  readonly filesDone: number;
  /** How many bytes of the work file these are. Later bytes are ignored. */
  readonly archiveBytes: number;
}

export function checkpointBytes(checkpoint: PartCheckpoint): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(checkpoint));
}

/**
 * Decodes a checkpoint; returns undefined without bytes.
 *
 * @throws SyntaxError or TypeError if this service did not write the bytes.
 */
export function checkpointFrom(bytes: Uint8Array | undefined): PartCheckpoint | undefined {
  if (bytes === undefined) return undefined;
  const found: unknown = JSON.parse(new TextDecoder().decode(bytes));
  if (isPartCheckpoint(found)) return found;
  throw new TypeError("this is no checkpoint of an archive");
}

function isPartCheckpoint(value: unknown): value is PartCheckpoint {
  return (
    typeof value === "object" &&
    value !== null &&
    "workFile" in value &&
    typeof value.workFile === "string" &&
    "listing" in value &&
    typeof value.listing === "string" &&
    "filesDone" in value &&
    typeof value.filesDone === "number" &&
    "archiveBytes" in value &&
    typeof value.archiveBytes === "number"
  );
}
