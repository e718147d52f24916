/**
 * Hears what an operator wants to count. All of it is on the way anyway and needs no
 * reaction; a function that throws does not matter.
 */
export interface PostgresObserver {
  /** The connection that notifications come by was lost, or could not be made. Polling goes on. */
  listenerLost?(event: { readonly cause: unknown }): void;
  /** It is there again, after this time; whoever waits is told to look. */
  listenerRestored?(event: { readonly lostMs: number }): void;
  /** A worker wrote with an attempt that is not the present one, or to what is done: nothing changed. */
  staleWrite?(event: StaleWrite): void;
  /**
   * This process could not show in time that it lives, and gave a delivery up, or another
   * has it by now.
   */
  leaseLost?(event: { readonly name: string; readonly method: string }): void;
  /** An operation was taken over whose last delivery was lost; for the how manieth time. */
  recovered?(event: {
    readonly name: string;
    readonly method: string;
    readonly deliveries: number;
  }): void;
  /**
   * So many notifications of a channel were not sent. Whoever they were for finds out by polling,
   * only later.
   */
  notificationsLost?(event: {
    readonly channel: string;
    readonly count: number;
    readonly cause: unknown;
  }): void;
  /**
   * An open operation had no job any more, for example because one of the two schemas was restored
   * without the other, and has a new one. Without an observer this goes to standard error.
   */
  requeued?(event: { readonly name: string; readonly method: string }): void;
  /** The queue could not be reached; it is tried again. */
  queueFailed?(event: { readonly action: string; readonly cause: unknown }): void;
}

/** A write that came too late. */
export interface StaleWrite {
  readonly name: string;
  readonly attempt: number;
  readonly action: "report" | "release" | "finish";
}

/** The line for an operation whose job was gone. */
export function requeuedLine(name: string): string {
  return `${name} was open and had no job in the queue: it was queued again; rows of the queue's schema were removed, or one of the two schemas was restored alone`;
}

/** Writes a line for operators to standard error, where no observer takes the event. */
export function logToConsole(line: string): void {
  console.error(`connect-longrunning: ${line}`);
}
