import type { DescMessage } from "@bufbuild/protobuf";
import { tell } from "../internal/tell.js";
import type { LongRunningMethod } from "../operation/long-running.js";
import type { StoredResult } from "../store/operation-store.js";
import { Continuation } from "./continuation.js";
import type { RunObservation } from "./observer.js";
import { storedResponse } from "./stored-result.js";
import type { Work } from "./work.js";

/** What the work of one attempt came to. */
export type WorkOutcome =
  | { kind: "response"; result: StoredResult }
  | { kind: "continue"; continuation: Continuation }
  | { kind: "error"; thrown: unknown };

/** Call the work, which the observer may set something up around. Never rejects. */
export async function runWork<I extends DescMessage, R extends DescMessage, M extends DescMessage>(
  method: LongRunningMethod<I, R, M>,
  observation: RunObservation | undefined,
  work: () => ReturnType<Work<I, R, M>>,
): Promise<WorkOutcome> {
  try {
    const response = await calledWithin(observation, work);
    if (response instanceof Continuation) return { kind: "continue", continuation: response };
    return { kind: "response", result: storedResponse(method.response, response) };
  } catch (thrown) {
    return { kind: "error", thrown };
  }
}

/** Call the work in what the observer sets up around it, once, whatever the observer does. */
function calledWithin<T>(observation: RunObservation | undefined, work: () => T): T {
  let called: { readonly value: T } | { readonly thrown: unknown } | undefined;
  const call = () => {
    if (called !== undefined) return called;
    try {
      called = { value: work() };
    } catch (thrown) {
      called = { thrown };
    }
    return called;
  };
  tell(observation, (to) => to.within?.(call));
  const outcome = call();
  if ("thrown" in outcome) throw outcome.thrown;
  return outcome.value;
}
