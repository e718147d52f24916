/** What a child process can be asked: the argument and the answer of each question. */
interface ChildAsks {
  /** Processor time of the process so far, user and system, in microseconds. */
  cpu: { argument: []; answer: number };
  /** What is in use after a full collection, in bytes. */
  memory: { argument: []; answer: MemoryInUse };
  /** Of a client: call the server again and again. */
  load: { argument: [Load]; answer: LoadOutcome };
  /** Of a client: one call to the server at this port, and the message that came, serialized. */
  answer: { argument: [port: number]; answer: Uint8Array };
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

/** What a child is sent. There is no reply to `stop`: it exits. */
export type ParentMessage =
  | { readonly [A in ChildAsk]: { id: number; ask: A; argument: ChildArgument<A>[0] } }[ChildAsk]
  | { readonly id: number; readonly ask: "stop"; readonly argument: undefined };

/** The first message is `ready`, with a server's port; then one comes for each ask. */
export type ChildMessage =
  | { readonly kind: "ready"; readonly port: number | undefined }
  | { readonly kind: "reply"; readonly id: number; readonly answer: unknown }
  | { readonly kind: "failure"; readonly id: number; readonly message: string };
