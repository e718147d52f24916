import { loadNode } from "../internal/load-node.js";

/** The process that runs operations, as operators find it. */
export interface WorkerIdentity {
  /** `{host}:{process id}:{8 random hex digits}`: another one for each start of the process. */
  readonly id: string;
  /** The name of the machine or the container. */
  readonly host: string;
  readonly processId: number;
}

/** Returns the identity of this process, a new one for each call. */
export async function createWorkerIdentity(): Promise<WorkerIdentity> {
  const { hostname } = await loadNode<{ hostname(): string }>("node:os");
  const { pid } = await loadNode<{ pid: number }>("node:process");
  const host = hostname();
  return { id: `${host}:${pid}:${crypto.randomUUID().slice(0, 8)}`, host, processId: pid };
}
