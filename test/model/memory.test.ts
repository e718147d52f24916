import { describe, it } from "vitest";
import { createInProcessDispatcher } from "../../src/store/index.js";
import { createManualClock } from "../../src/testing/index.js";
import { checkModel } from "./check-model.js";

describe("a server in this process, under any order of calls", () => {
  it("does what a plain model does: I1, I2, I4 to I10 and I12", async () => {
    await checkModel(
      async () => {
        const clock = createManualClock();
        const dispatcher = createInProcessDispatcher({ clock, maxConcurrent: 1000 });
        return {
          options: { clock, dispatcher },
          pause: () => clock.advance(0),
          passTime: () => clock.advance(5000),
          maxPauses: 5,
          redeliver: (name, method) => dispatcher.dispatch([{ name, method }]),
        };
      },
      true,
      { numRuns: 200, maxCommands: 60 },
    );
  }, 60_000);
});
