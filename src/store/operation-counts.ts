import type { OperationState, OperationStore } from "./operation-store.js";

/** The numbers of operations, by the kinds that operators watch, in all processes. */
export interface OperationCounts {
  /** Numbers of operations that are not done and not deleted, one for each pair of method and state. */
  readonly open: readonly OpenOperations[];
  /** Attempts that were lost, of all operations that have not expired; each method once. */
  readonly lost: readonly LostAttempts[];
}

export interface OpenOperations {
  /** `package.Service/Method`. */
  readonly method: string;
  /** Driven from outside is `running`. */
  readonly state: OperationState;
  readonly operations: number;
  /** The create time of the oldest of them, by the store's clock, in microseconds. */
  readonly oldestTimeMicros: number;
}

export interface LostAttempts {
  /** `package.Service/Method`. */
  readonly method: string;
  /**
   * Attempts whose process died, or could not show that it lives, and whose operation
   * another process has taken over since.
   */
  readonly attempts: number;
}

/** A store that counts its operations. */
export interface CountingStore extends OperationStore {
  /** Takes time in proportion to how many operations are open. */
  counts(): Promise<OperationCounts>;
}
