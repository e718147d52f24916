/** The questions that a child process answers, each with its argument and answer. */
interface ChildAsks {
  /** Processor time of the process so far, user and system, in microseconds. */
  cpu: { argument: []; answer: number };
  /** Heap in use after a full garbage collection, in bytes. */
  memory: { argument: []; answer: MemoryInUse };
  /** The kinds of resources that keep the process alive, such as sockets and timers; one entry each. */
  resources: { argument: []; answer: readonly string[] };
  /** For a client: calls the server repeatedly. */
  load: { argument: [Load]; answer: LoadOutcome };
  /** For a client: makes one call to the server at this port and returns the serialized answer. */
  answer: { argument: [port: number]; answer: Uint8Array };
  /** For a client: follows operations to their end, one started after another. */
  follow: { argument: [Follow]; answer: readonly Settled[] };
  /** For a server: returns the counts since the previous question. */
  seen: { argument: []; answer: Seen };
  /** For a server: begins `count` operations that do not end by themselves and returns their names. */
  begin: { argument: [operations: number]; answer: readonly string[] };
  /** For a server: returns the number of WaitOperation calls received. */
  waiting: { argument: []; answer: number };
  /** For a server: ends all operations and returns the monotonic time before the first end. */
  end: { argument: []; answer: number };
  /** For a client: calls WaitOperation for each of these names and returns at once. */
  hold: { argument: [Hold]; answer: true };
  /** For a client: returns the monotonic time of the last answer to its held calls. */
  held: { argument: []; answer: number };
  /** Fill a store anew. */
  fill: { argument: [Fill]; answer: FillOutcome };
  /** List one page again and again, for so long. */
  list: { argument: [List]; answer: ListOutcome };
  /** Answer ListOperations with a page of 1,000 again and again, for so long. */
  answerPages: { argument: [AnswerPages]; answer: ListOutcome };
  /** Begins many waits at once in one process, then ends the operations. */
  pend: { argument: [Pend]; answer: PendOutcome };
}

export type ChildAsk = keyof ChildAsks;
export type ChildArgument<A extends ChildAsk> = ChildAsks[A]["argument"];
export type ChildAnswer<A extends ChildAsk> = ChildAsks[A]["answer"];

export interface MemoryInUse {
  readonly rss: number;
  readonly heap: number;
  readonly external: number;
}

/** The number of calls in flight, their duration, and the loopback port of the server. */
export interface Load {
  readonly port: number;
  readonly inFlight: number;
  readonly durationMs: number;
}

export interface LoadOutcome {
  readonly requests: number;
  readonly elapsedMs: number;
  readonly latencyP99Ms: number;
}

/** The number of operations, how long each lasts, and the pause between two starts. */
export interface Follow {
  readonly port: number;
  readonly operations: number;
  readonly lastMs: number;
  readonly everyMs: number;
}

/** These names, each so often, at the server at this port of the loopback. */
export interface Hold {
  readonly port: number;
  readonly names: readonly string[];
  readonly times: number;
}

/** The number of operations and the size of each on the wire, in bytes. */
export interface Fill {
  readonly operations: number;
  /** One operation of this number is not done. */
  readonly openEvery: number;
  readonly wireBytes: number;
  /** Databases, each with this number of operations. Default: 1. */
  readonly shards?: number;
}

export interface FillOutcome {
  /** Memory that all operations hold after full collections, in bytes. */
  readonly heldBytes: number;
  /** The size of one, serialized. */
  readonly wireBytes: number;
}

/** All of them, those that are not done, or those whose metadata says so: every second. */
export type WantedOperations = "all" | "open" | "metadata";

export interface List {
  /** Page number from 1. If there are fewer pages, the last full page. */
  readonly page: number;
  readonly wanted: WantedOperations;
  readonly durationMs: number;
}

export interface AnswerPages {
  /** Whether pages are copied from stored bytes or encoded from messages. */
  readonly form: "copied" | "encoded";
  readonly durationMs: number;
}

export interface ListOutcome {
  readonly pages: number;
  /** Processor time, with that of the collector's threads. */
  readonly micros: number;
  readonly elapsedMicros: number;
}

/** When a result was there, by the monotonic clock that all processes share. */
export interface Settled {
  readonly atMs: number;
  /** Since when that counts: the end of an operation on the server, or a time of the same clock. */
  readonly since: { readonly endOf: string } | number;
}

export interface Seen {
  /** When the write was through that ended an operation, by its name. */
  readonly endedAtMs: ReadonlyMap<string, number>;
  /** When the request to cancel an operation was written, by its name. Absent if the time was not recorded. */
  readonly cancelledAtMs?: ReadonlyMap<string, number>;
  /** How many requests of google.longrunning.Operations came. */
  readonly requests: number;
}

/** The number of waits, spread evenly over a number of operations. */
export interface Pend {
  readonly waits: number;
  readonly operations: number;
}

export interface PendOutcome {
  /** Memory that all waits hold while no operation is done, in bytes. */
  readonly heldBytes: number;
  /** Time from the simultaneous end of the operations to the last wait's answer. */
  readonly wakeMs: number;
}

/** A message to a child. A child does not reply to `stop`: it exits. */
export type ParentMessage =
  | { readonly [A in ChildAsk]: { id: number; ask: A; argument: ChildArgument<A>[0] } }[ChildAsk]
  | { readonly id: number; readonly ask: "stop"; readonly argument: undefined };

/** The first message is `ready`, with a server's port; then one comes for each ask. */
export type ChildMessage =
  | { readonly kind: "ready"; readonly port: number | undefined }
  | { readonly kind: "reply"; readonly id: number; readonly answer: unknown }
  | { readonly kind: "failure"; readonly id: number; readonly message: string };
