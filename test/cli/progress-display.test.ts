import { stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";
import { createProgressDisplay } from "../../src/cli/progress-display.js";
import type { Progress } from "../../src/display/progress.js";
import { createManualClock } from "../../src/testing/index.js";
import { recordedOutput } from "./support/recorded-output.js";

const progress = (init: Partial<Progress>): Progress => ({
  fraction: undefined,
  counted: undefined,
  status: undefined,
  ...init,
});

/** The line that a terminal shows after this was written: at most one line is used. */
function shown(written: string): string {
  const frames = written.split("\r");
  expect(written).not.toContain("\n");
  return stripVTControlCharacters(frames.at(-1) ?? "");
}

describe("the progress display on a terminal", () => {
  it("draws a bar where a share is known, and drops what is drawn when it closes", () => {
    const clock = createManualClock();
    const output = recordedOutput({ isTerminal: true });
    const display = createProgressDisplay(output, clock);
    display.show(progress({ fraction: 0.5, counted: "2 of 4", status: "copying" }));
    expect(shown(output.taken())).toBe(
      `${"█".repeat(12)}${"░".repeat(12)} 50%  2 of 4  copying  0:00`,
    );
    display.close();
    expect(output.taken()).toBe("\r\x1b[K");
  });

  it("turns a spinner where it is not, and counts the time", async () => {
    const clock = createManualClock();
    const output = recordedOutput({ isTerminal: true });
    const display = createProgressDisplay(output, clock);
    display.show(progress({ status: "queued" }));
    expect(shown(output.taken())).toBe("⠋ queued  0:00");
    await clock.advance(100);
    expect(shown(output.taken())).toBe("⠙ queued  0:00");
    await clock.advance(64_900);
    expect(shown(output.taken())).toMatch(/^. queued {2}1:05$/);
    display.close();
    expect(clock.scheduled()).toBe(0);
  });

  it("lets no server move the cursor", () => {
    const output = recordedOutput({ isTerminal: true });
    const display = createProgressDisplay(output, createManualClock());
    display.show(progress({ status: "\x1b[2Jgone\nnext \u202e" }));
    expect(shown(output.taken())).toBe("⠋ \\u001b[2Jgone\\u000anext \\u202e  0:00");
    display.close();
  });
});

describe("the progress display elsewhere", () => {
  it("writes a line for each change, and none without a change", async () => {
    const clock = createManualClock();
    const output = recordedOutput();
    const display = createProgressDisplay(output, clock);
    display.show(progress({}));
    display.show(progress({}));
    await clock.advance(7000);
    display.show(progress({ fraction: 0.999, counted: "999 of 1000" }));
    display.close();
    expect(output.taken()).toBe("0:00  running\n0:07  99%  999 of 1000\n");
    expect(clock.scheduled()).toBe(0);
  });
});
