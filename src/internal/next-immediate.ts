/**
 * Resolves when this turn of the event loop has read what its sockets hold: in Node by
 * `setImmediate`, as its shortest timer takes a millisecond.
 */
export function nextImmediate(): Promise<void> {
  const immediately: unknown = Reflect.get(globalThis, "setImmediate");
  return new Promise((resolve) => {
    if (typeof immediately === "function") immediately(resolve);
    else setTimeout(resolve, 0);
  });
}
