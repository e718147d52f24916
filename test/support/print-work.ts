import type { PrintWork } from "./print-server.js";

/** Work that does not end. */
export const never = () => new Promise<never>(() => undefined);

/** Work that stops as soon as it is asked to. */
export const untilAborted: PrintWork = ({ signal }) =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
