import { formatElapsed } from "../display/format-time.js";
import type { Progress } from "../display/progress.js";
import { barText, percentText, spinnerFrames } from "../display/progress-text.js";
import { styled } from "../display/style.js";
import type { Clock } from "../internal/clock.js";
import type { Output } from "./terminal.js";

/** How often a line on a terminal is drawn anew, in milliseconds. */
const frameMs = 100;

/** Shows how far an operation is, while somebody waits for it. */
export interface ProgressDisplay {
  show(progress: Progress): void;
  /** Take the line off the terminal and stop drawing. */
  close(): void;
}

/**
 * Show progress: on a terminal by one line that is drawn anew, a bar where a share of the work is
 * known and a spinner otherwise; elsewhere by a plain line for each change.
 */
export function createProgressDisplay(output: Output, clock: Clock): ProgressDisplay {
  const startMs = clock.nowMs();
  const elapsed = () => formatElapsed(clock.nowMs() - startMs);
  return output.isTerminal ? drawnLine(output, clock, elapsed) : plainLines(output, elapsed);
}

function plainLines(output: Output, elapsed: () => string): ProgressDisplay {
  let shown: string | undefined;
  return {
    show(progress) {
      const text = percentText(progress) || "running";
      if (text === shown) return;
      shown = text;
      output.write(`${elapsed()}  ${text}\n`);
    },
    close: () => undefined,
  };
}

function drawnLine(output: Output, clock: Clock, elapsed: () => string): ProgressDisplay {
  let frame = 0;
  let progress: Progress = { fraction: undefined, counted: undefined, status: undefined };
  let unschedule: () => void = () => undefined;

  const draw = () => {
    const spinner = spinnerFrames[frame % spinnerFrames.length] ?? "";
    const { fraction } = progress;
    const head = fraction === undefined ? spinner : barText(fraction);
    const text = percentText(progress) || "running";
    // Without line wrap while it is written: a line that is too long would not be drawn over.
    output.write(
      `\x1b[?7l\r${styled(output, "cyan", head)} ${text}  ${styled(output, "dim", elapsed())}\x1b[K\x1b[?7h`,
    );
  };
  const tick = () => {
    draw();
    frame += 1;
    unschedule = clock.schedule(frameMs, tick);
  };
  return {
    show(latest) {
      progress = latest;
      unschedule();
      tick();
    },
    close() {
      unschedule();
      output.write("\r\x1b[K");
    },
  };
}
