/**
 * Callbacks for events that an operator counts. The store handles each event itself; errors of a
 * callback are ignored.
 */
export interface PostgresObserver {
  /**
   * Called once when `connectPostgres` has opened its connections, with a function that reads how
   * they are used now. The returned function is called when they are closed.
   */
  connected?(usage: () => ConnectionUsage): (() => void) | undefined;
  /** Called when this process begins to take operations of a method: its counters should exist. */
  serving?(event: { readonly method: string }): void;
  /** Called when the listening connection is lost or cannot be made. Polling goes on. */
  listenerLost?(event: { readonly cause: unknown }): void;
  /** Called when the listening connection is back; all waiters then read their operations. */
  listenerRestored?(event: { readonly lostMs: number }): void;
  /** Called when a worker writes with an old attempt, or to a done operation; the write changed nothing. */
  staleWrite?(event: StaleWrite): void;
  /**
   * Called when this process did not renew the lease of a delivery in time, and so lost it.
   */
  leaseLost?(event: { readonly name: string; readonly method: string }): void;
  /**
   * Called when this process lost leases because its event loop was blocked for longer than a
   * lease lasts, in milliseconds. Other attempts run these operations again. Default: prints a line
   * to standard error.
   */
  eventLoopStalled?(event: EventLoopStall): void;
  /** Called when an operation whose last delivery was lost is delivered again. `deliveries` counts all. */
  recovered?(event: {
    readonly name: string;
    readonly method: string;
    readonly deliveries: number;
  }): void;
  /**
   * Called when notifications of a channel were not sent. Their receivers find the change by
   * polling, later.
   */
  notificationsLost?(event: {
    readonly channel: string;
    readonly count: number;
    readonly cause: unknown;
  }): void;
  /**
   * Called when an open operation had no job, for example because one of the two schemas was
   * restored without the other, and got a new one. Absent: a line on standard error.
   */
  requeued?(event: { readonly name: string; readonly method: string }): void;
  /** Called when the queue cannot be reached; the action is tried again. */
  queueFailed?(event: { readonly action: string; readonly cause: unknown }): void;
}

/** The use of the connections of one process, without the listening one. */
export interface ConnectionUsage {
  /** Connections that a statement or a transaction holds. */
  readonly inUse: number;
  /** Calls that wait for a connection. */
  readonly waiting: number;
}

/** A write of an old attempt. */
export interface StaleWrite {
  readonly name: string;
  readonly attempt: number;
  readonly action: "report" | "release" | "finish";
}

/** A stall of the event loop that lost leases. */
export interface EventLoopStall {
  readonly stalledMs: number;
  readonly leaseMs: number;
  /** The operations that this process lost. */
  readonly names: readonly string[];
}

/** Returns the log line for a stall. */
export function stalledLine({ stalledMs, leaseMs, names }: EventLoopStall): string {
  const [name, ...others] = names;
  const more = others.length === 0 ? "" : ` and ${others.length} more`;
  return `the event loop stood still for ${seconds(stalledMs)}, and a lease lasts ${seconds(leaseMs)}: this process lost ${name}${more}, which will run again; move CPU-bound work to a worker thread, or raise leaseSeconds`;
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

/** Returns the log line for an operation whose job was gone. */
export function requeuedLine(name: string): string {
  return `${name} was open and had no job in the queue: it was queued again; rows of the queue's schema were removed, or one of the two schemas was restored alone`;
}

/** Writes a line for operators to standard error if no observer handles the event. */
export function logToConsole(line: string): void {
  console.error(`connect-longrunning: ${line}`);
}
