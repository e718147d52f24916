/** One WaitOperation call for each wait, by Connect's own client. */
import { createClient } from "@connectrpc/connect";
import { Operations } from "../../src/protos.js";
import { type PendingWaits, runWaits } from "../child-side.js";
import { createPendingServer } from "./pending-server.js";

const timeout = { seconds: 30n };

runWaits(async ({ waits, operations }) => {
  const { transport, start, end } = createPendingServer();
  const names = Array.from({ length: operations }, start);
  const client = createClient(Operations, transport);
  return async (): Promise<PendingWaits> => {
    const all = Array.from({ length: waits }, (_, index) =>
      client.waitOperation(
        { name: names[index % operations] ?? "", timeout },
        { signal: new AbortController().signal, timeoutMs: 40_000 },
      ),
    );
    return {
      end() {
        end();
        return Promise.all(all);
      },
    };
  };
});
