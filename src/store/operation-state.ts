/**
 * The state of an operation.
 *
 * - `blocked`: it waits for earlier operations of its resource, and is not dispatched.
 * - `queued`: no attempt runs it; it waits for its first or its next one.
 * - `running`: an attempt has it, or its work runs outside this server.
 * - `done`: it has its result, which never changes.
 */
export type OperationState = "blocked" | "queued" | "running" | "done";
