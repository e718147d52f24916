import type { Clock } from "../internal/clock.js";
import { settlesWithin } from "../internal/settles-within.js";
import type { OperationStore } from "../store/index.js";

/** The time between two reads, and the longest time of one, in milliseconds. */
const intervalMs = 5000;

/** A name that no operation has, because its last segment is not a valid id of a server. */
const nobody = "operations/-";

/**
 * Look every 5 seconds whether a store answers, which it is taken to do at first.
 *
 * @param changed Called with each change: false once a read failed or took more than 5 s.
 * @returns Stops it; `changed` is not called again.
 */
export function watchStore(
  store: Pick<OperationStore, "get">,
  clock: Clock,
  changed: (isReachable: boolean) => void,
): () => void {
  const stopped = new AbortController();
  let wasReachable = true;
  let cancel = () => {};
  const next = () => {
    cancel = clock.schedule(intervalMs, () => void look(), { background: true });
  };
  const look = async () => {
    const isReachable = await answers(store, clock);
    if (stopped.signal.aborted) return;
    next();
    if (isReachable === wasReachable) return;
    wasReachable = isReachable;
    changed(isReachable);
  };
  next();
  return () => {
    stopped.abort();
    cancel();
  };
}

async function answers(store: Pick<OperationStore, "get">, clock: Clock): Promise<boolean> {
  let hasAnswered = false;
  const asked = store.get(nobody).then(
    () => {
      hasAnswered = true;
    },
    () => undefined,
  );
  await settlesWithin(asked, clock, intervalMs);
  return hasAnswered;
}
