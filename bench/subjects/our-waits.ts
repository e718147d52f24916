/** `result()` of our client's handles, which are there already. */
import { createLongRunningClient, type OperationHandle } from "../../src/index.js";
import { type PendingWaits, runWaits } from "../child-side.js";
import { createPendingServer } from "./pending-server.js";
import { Print } from "./print.js";

runWaits(async ({ waits, operations }) => {
  const { transport, end } = createPendingServer();
  const { print } = createLongRunningClient({ print: Print }, transport, {
    maxHeldWaits: waits,
  });
  const handles: OperationHandle[] = [];
  for (let started = 0; started < operations; started++) handles.push(await print({}));
  return async (): Promise<PendingWaits> => {
    const all = Array.from({ length: waits }, (_, index) => handles[index % operations]?.result());
    return {
      end() {
        end();
        return Promise.all(all);
      },
    };
  };
});
