import { formatElapsed } from "../display/format-time.js";
import type { Progress } from "../display/progress.js";
import { barText, percentText, spinnerFrames } from "../display/progress-text.js";
import { styled } from "../display/style.js";
import type { Clock } from "../internal/clock.js";
import type { Output } from "./terminal.js";

/** The time between two frames of the line on a terminal, in milliseconds. */
const frameMs = 100;

/** Shows the progress of an operation during a wait. */
export interface ProgressDisplay {
  show(progress: Progress): void;
  /** Removes the line from the terminal and stops drawing. */
  close(): void;
}

/**
 * Makes a progress display. On a terminal it redraws one line, with a bar if the finished share is
 * known and a spinner otherwise; elsewhere it writes a plain line for each change.
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
    // Line wrap is off while the line is written, because a wrapped line would not be overwritten.
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
