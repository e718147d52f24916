import { describe, expect, it } from "vitest";
import { createLongRunningClient, createOperationsClient } from "../../src/index.js";
import type { OperationsEvent } from "../../src/server/index.js";
import { createManualClock, createTestOperations } from "../../src/testing/index.js";
import { PrintService } from "../gen/printing/v1/printing_pb.js";
import { Print } from "../support/print-server.js";

describe("createTestOperations", () => {
  it("runs work on its clock, and ends it when the test says so", async () => {
    const { clock, transport, events } = createTestOperations((router, operations) => {
      router.service(PrintService, {
        print: operations.handle(Print, async ({ request, report }) => {
          report({ pagesPrinted: 1 });
          await new Promise<void>((resolve) => {
            clock.schedule(60_000, resolve);
          });
          return { pages: request.pages };
        }),
      });
    });
    const printer = createLongRunningClient({ print: Print }, transport, { clock });
    const handle = await printer.print({ pages: 3 });
    let isDone = false;
    const result = handle.result().finally(() => {
      isDone = true;
    });
    await clock.advance(59_000);
    expect(isDone).toBe(false);
    await clock.advance(1000);
    expect(await result).toMatchObject({ pages: 3 });
    expect(handle.snapshot.metadata).toMatchObject({ pagesPrinted: 1 });
    expect(events).toEqual([]);
  });

  it("takes the server's options, and a clock that the test has", async () => {
    const clock = createManualClock(0);
    const served = createTestOperations(() => undefined, { clock, maxWaitMs: 5000 });
    expect(served.clock).toBe(clock);
    const client = createOperationsClient(served.transport);
    const { name } = await served.operations.create(Print, {});
    let isAnswered = false;
    const wait = client.wait(name, 60_000).finally(() => {
      isAnswered = true;
    });
    await clock.advance(4999);
    expect(isAnswered).toBe(false);
    await clock.advance(1);
    expect((await wait).done).toBe(false);
  });

  it("keeps the events of the log hook, and passes them to the test's hook", async () => {
    const heard: OperationsEvent[] = [];
    const { clock, events, transport } = createTestOperations(
      (router, operations) => {
        router.service(PrintService, {
          print: operations.handle(Print, () => {
            throw new Error("out of paper");
          }),
        });
      },
      { log: (event) => heard.push(event) },
    );
    const printer = createLongRunningClient({ print: Print }, transport, { clock });
    expect((await (await printer.print({})).outcome()).kind).toBe("failed");
    expect(events).toMatchObject([{ cause: new Error("out of paper") }]);
    expect(heard).toEqual(events);
  });
});
