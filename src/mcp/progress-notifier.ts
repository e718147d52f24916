import type { JsonObject } from "@bufbuild/protobuf";
import { printable } from "../display/printable.js";
import type { Progress } from "../display/progress.js";
import type { RequestId } from "./json-rpc.js";

/** Longest text of a notification, in characters. */
const maxMessageLength = 512;

/** Sends `notifications/progress` for one request (MCP 2026-07-28, basic/patterns/progress). */
export interface ProgressNotifier {
  /**
   * Shows the progress of a state.
   *
   * @param progress `undefined` if there is no metadata, or it cannot be read.
   */
  show(progress: Progress | undefined, hasMetadata: boolean): void;
}

/**
 * Makes a notifier. The protocol wants a value that rises with each notification. The first state
 * with metadata decides on the value: the finished share of the work, or a count of the states seen.
 * A state before it is 0, which is less than both.
 */
export function createProgressNotifier(
  progressToken: RequestId,
  notify: (notification: JsonObject) => void,
): ProgressNotifier {
  let usesFraction: boolean | undefined;
  let last = -1;
  return {
    show(progress, hasMetadata) {
      const fraction = progress?.fraction;
      if (hasMetadata) usesFraction ??= fraction !== undefined;
      const count = usesFraction === undefined ? 0 : Math.max(last, 0) + 1;
      const value = usesFraction ? fraction : count;
      if (value === undefined || value <= last) return;
      last = value;
      const message = messageOf(progress);
      notify({
        jsonrpc: "2.0",
        method: "notifications/progress",
        params: {
          progressToken,
          progress: value,
          ...(usesFraction ? { total: 1 } : {}),
          ...(message === undefined ? {} : { message }),
        },
      });
    },
  };
}

/** Returns the words of a progress, such as `copying, 3 of 8`; undefined without words. */
export function messageOf(progress: Progress | undefined): string | undefined {
  if (progress === undefined) return undefined;
  const { status, counted, fraction } = progress;
  const amount = counted ?? (fraction === undefined ? undefined : `${Math.round(fraction * 100)}%`);
  const words = [status, amount].filter((part) => part !== undefined && part !== "").join(", ");
  return words === "" ? undefined : shortText(words);
}

/** Makes text from a server fit for a person's screen: printable, and not too long. */
export function shortText(text: string): string {
  const safe = printable(text);
  return safe.length <= maxMessageLength ? safe : `${safe.slice(0, maxMessageLength - 1)}…`;
}
