/**
 * Resolves when the event loop has read the data that has arrived on its sockets. In Node this uses
 * `setImmediate`, because its shortest timer takes a millisecond.
 */
export function nextImmediate(): Promise<void> {
  const immediately: unknown = Reflect.get(globalThis, "setImmediate");
  return new Promise((resolve) => {
    if (typeof immediately === "function") immediately(resolve);
    else setTimeout(resolve, 0);
  });
}
