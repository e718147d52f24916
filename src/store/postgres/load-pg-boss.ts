import { packageMissing } from "./postgres-errors.js";

/** The used members of a `PgBoss` of pg-boss 12. */
export interface PgBossInstance {
  on(event: "error", listener: (cause: unknown) => void): unknown;
  start(): Promise<unknown>;
  stop(options: { graceful: boolean; close: boolean }): Promise<void>;
  createQueue(queue: string, options: object): Promise<void>;
  updateQueue(queue: string, options: object): Promise<void>;
  supervise(queue: string): Promise<void>;
  insert(queue: string, jobs: object[], options: object): Promise<unknown>;
  fetch(queue: string, options: object): Promise<PgBossJob[]>;
  touch(queue: string, attempts: PgBossAttempt | PgBossAttempt[]): Promise<object>;
  deleteJob(queue: string, attempts: PgBossAttempt[], options: object): Promise<object>;
}

/** A job in the form that `fetch` returns. */
export interface PgBossJob extends PgBossAttempt {
  readonly data: unknown;
  readonly groupId?: string | null;
}

/** Identifies one delivery in the calls that renew and end it. */
export interface PgBossAttempt {
  readonly id: string;
  readonly retryCount: number;
}

type PgBossConstructor = new (options: object) => PgBossInstance;

/**
 * Loads the class of pg-boss when it is needed.
 *
 * @throws ConnectError `Internal` if the package is not installed.
 */
export async function loadPgBoss(): Promise<PgBossConstructor> {
  // The name is not a literal, because the declarations of pg-boss compile only with
  // `skipLibCheck`.
  const name: string = "pg-boss";
  let cause: unknown;
  try {
    const loaded: unknown = await import(/* webpackIgnore: true */ /* @vite-ignore */ name);
    if (hasPgBoss(loaded)) return loaded.PgBoss;
  } catch (thrown) {
    cause = thrown;
  }
  throw packageMissing("pg-boss", cause);
}

function hasPgBoss(loaded: unknown): loaded is { PgBoss: PgBossConstructor } {
  return (
    typeof loaded === "object" &&
    loaded !== null &&
    "PgBoss" in loaded &&
    typeof loaded.PgBoss === "function"
  );
}
