/** Interval of the check, in milliseconds. */
const intervalMs = 20;

/** Measures how long the event loop was blocked, so that no server is blamed for it. */
export interface LoopDelay {
  /** Starts a measurement, which `end` stops. */
  begin(): LoopDelayReading;
  close(): void;
}

export interface LoopDelayReading {
  /** Longest delay since the beginning, in milliseconds. */
  maxMs(): number;
  /** Sum of the delays since the beginning, in milliseconds. */
  totalMs(): number;
  end(): void;
}

/** Starts to watch the event loop. */
export function createLoopDelay(): LoopDelay {
  const readings = new Set<{ max: number; total: number }>();
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    const delay = now - last - intervalMs;
    last = now;
    if (delay <= 1) return;
    for (const reading of readings) {
      reading.max = Math.max(reading.max, delay);
      reading.total += delay;
    }
  }, intervalMs);
  return {
    begin() {
      const reading = { max: 0, total: 0 };
      readings.add(reading);
      let isOver = false;
      const current = () => (isOver ? 0 : Math.max(0, performance.now() - last - intervalMs));
      return {
        maxMs: () => Math.max(reading.max, current()),
        totalMs: () => reading.total + current(),
        end() {
          reading.max = Math.max(reading.max, current());
          reading.total += current();
          isOver = true;
          readings.delete(reading);
        },
      };
    },
    close: () => clearInterval(timer),
  };
}
