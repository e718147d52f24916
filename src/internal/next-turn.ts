/**
 * Let the event loop turn: everything that can happen now in this process does so
 * before this resolves, also I/O, which promises alone do not let in.
 */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
