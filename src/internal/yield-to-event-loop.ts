import { nextImmediate } from "./next-immediate.js";

/**
 * Yields to the event loop: resolves after everything that can happen now in this process has
 * happened, including I/O and callbacks of `setImmediate`, which promises alone do not let in.
 */
export async function yieldToEventLoop(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
  // Callbacks of `setImmediate` may schedule further ones.
  for (let turn = 0; turn < 5; turn += 1) await nextImmediate();
}
