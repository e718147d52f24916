/** What a child process can be asked: the argument and the answer of each question. */
interface ChildAsks {
  /** Processor time of the process so far, user and system, in microseconds. */
  cpu: { argument: []; answer: number };
  /** What is in use after a full collection, in bytes. */
  memory: { argument: []; answer: MemoryInUse };
  /** The kinds of what keeps the process alive: sockets, timers; one entry each. */
  resources: { argument: []; answer: readonly string[] };
  /** Of a client: call the server again and again. */
  load: { argument: [Load]; answer: LoadOutcome };
  /** Of a client: one call to the server at this port, and the message that came, serialized. */
  answer: { argument: [port: number]; answer: Uint8Array };
  /** Of a client: follow operations to their end, one started after another. */
  follow: { argument: [Follow]; answer: readonly Settled[] };
  /** Of a server: what it saw since it was asked this last. */
  seen: { argument: []; answer: Seen };
  /** Of a server: begin so many operations that do not end by themselves, and name them. */
  begin: { argument: [operations: number]; answer: readonly string[] };
  /** Of a server: how many WaitOperation calls came so far. */
  waiting: { argument: []; answer: number };
  /** Of a server: end all operations; the monotonic time before the first. */
  end: { argument: []; answer: number };
  /** Of a client: call WaitOperation for each of these names, and return at once. */
  hold: { argument: [Hold]; answer: true };
  /** Of a client: the monotonic time of the last answer to what it holds. */
  held: { argument: []; answer: number };
  /** Fill a store anew. */
  fill: { argument: [Fill]; answer: FillOutcome };
  /** List one page again and again, for so long. */
  list: { argument: [List]; answer: ListOutcome };
  /** Answer ListOperations with a page of 1,000 again and again, for so long. */
  answerPages: { argument: [AnswerPages]; answer: ListOutcome };
  /** Begin many waits at a time, in one process; then end what they wait for. */
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

/** So many calls at a time, for so long, to the server at this port of the loopback. */
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

/** So many operations that last so long each, with a pause between the starts of two. */
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

/** So many operations of so many bytes each by wire. */
export interface Fill {
  readonly operations: number;
  /** One of so many is not done. */
  readonly openEvery: number;
  readonly wireBytes: number;
}

export interface FillOutcome {
  /** What all of them hold after full collections, in bytes. */
  readonly heldBytes: number;
  /** The size of one, serialized. */
  readonly wireBytes: number;
}

/** All of them, those that are not done, or those whose metadata says so: every second. */
export type WantedOperations = "all" | "open" | "metadata";

export interface List {
  /** From 1. The last full page where there are fewer. */
  readonly page: number;
  readonly wanted: WantedOperations;
  readonly durationMs: number;
}

export interface AnswerPages {
  /** Copied from what is stored, or encoded from a message that is made of it. */
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
  /** When the request to cancel an operation was written, by its name. Absent: nobody noted it. */
  readonly cancelledAtMs?: ReadonlyMap<string, number>;
  /** How many requests of google.longrunning.Operations came. */
  readonly requests: number;
}

/** So many waits, spread evenly over so many operations. */
export interface Pend {
  readonly waits: number;
  readonly operations: number;
}

export interface PendOutcome {
  /** What all waits hold, in bytes, while nothing is done. */
  readonly heldBytes: number;
  /** From the end of the operations, all in one go, to the last wait's. */
  readonly wakeMs: number;
}

/** What a child is sent. There is no reply to `stop`: it exits. */
export type ParentMessage =
  | { readonly [A in ChildAsk]: { id: number; ask: A; argument: ChildArgument<A>[0] } }[ChildAsk]
  | { readonly id: number; readonly ask: "stop"; readonly argument: undefined };

/** The first message is `ready`, with a server's port; then one comes for each ask. */
export type ChildMessage =
  | { readonly kind: "ready"; readonly port: number | undefined }
  | { readonly kind: "reply"; readonly id: number; readonly answer: unknown }
  | { readonly kind: "failure"; readonly id: number; readonly message: string };
