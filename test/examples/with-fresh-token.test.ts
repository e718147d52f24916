import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { expect, it } from "vitest";
import { withFreshToken } from "../../examples/credentials/with-fresh-token.js";
import { createOperationsClient } from "../../src/index.js";
import { Operations } from "../../src/protos.js";
import { createManualClock, createScriptedOperations } from "../../src/testing/index.js";
import { Print } from "../support/print-server.js";

it("keeps a wait going while its token expires and a refresh fails", async () => {
  const clock = createManualClock();
  const scripted = createScriptedOperations({ clock, without: ["WaitOperation"] });
  scripted.add(Print, { name: "operations/1", states: [{}, { afterMs: 60_000, response: {} }] });
  let valid = "token-1";
  const seen: (string | null)[] = [];
  const transport = createRouterTransport(
    (router) =>
      router.service(Operations, {
        ...scripted.service,
        getOperation(request, context) {
          const header = context.requestHeader.get("Authorization");
          seen.push(header);
          if (header !== `Bearer ${valid}`) throw new ConnectError("", Code.Unauthenticated);
          return scripted.service.getOperation(request, context);
        },
      }),
    { transport: { interceptors: [withFreshToken(fetchToken)] } },
  );
  let fetches = 0;
  async function fetchToken() {
    fetches += 1;
    if (fetches === 2) throw new Error("the identity provider is down");
    return valid;
  }
  const client = createOperationsClient(transport, { clock, poll: { jitter: 0 } });
  const result = (await client.resume(Print, "operations/1")).result();
  await clock.advance(5000);
  valid = "token-2";
  await clock.advance(120_000);
  expect(await result).toMatchObject({ $typeName: "printing.v1.PrintResponse" });
  expect(fetches).toBe(3);
  expect(new Set(seen)).toEqual(new Set(["Bearer token-1", "Bearer token-2"]));
});
