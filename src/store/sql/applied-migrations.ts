/** A step of the schema that a database has recorded. */
export interface AppliedMigration {
  /** 1 for the first step; each step has the number after that of the step before it. */
  readonly version: number;
  /**
   * The schema version of the oldest program that may still run on the database. A step that
   * only adds indexes or columns with defaults leaves the number of the step before it.
   */
  readonly oldestProgram: number;
}

/** Whether a program whose last step is `version` may run on a database with these steps. */
export function mayRunOn(applied: readonly AppliedMigration[], version: number): boolean {
  return applied.every((step) => step.version <= version || step.oldestProgram <= version);
}
