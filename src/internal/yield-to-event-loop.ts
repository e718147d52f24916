import { nextImmediate } from "./next-immediate.js";

/**
 * Yields to the event loop. It resolves after everything that can happen now in this process has
 * happened. This includes I/O and callbacks of `setImmediate`, which promises alone would hold up.
 */
export async function yieldToEventLoop(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
  // Callbacks of `setImmediate` may schedule further ones.
  for (let turn = 0; turn < 5; turn += 1) await nextImmediate();
}
