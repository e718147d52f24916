import type { OperationStatus } from "../../display/operation-summary.js";
import type { Progress } from "../../display/progress.js";
import { percentText } from "../../display/progress-text.js";
import { Text } from "./text.js";

const shapes: Readonly<Record<OperationStatus, string>> = {
  running: "M8 2a6 6 0 1 1-6 6",
  succeeded: "M3.5 8.5l3 3 6-7",
  failed: "M4.5 4.5l7 7m0-7l-7 7",
  cancelled: "M4 8h8",
};

/** Shows the state of an operation, by shape, color and word. */
export function StatusPill({ status }: { status: OperationStatus }) {
  return (
    <span class={`pill ${status}`}>
      <svg viewBox="0 0 16 16" width="12" height="12" aria-hidden="true">
        <path d={shapes[status]} />
      </svg>
      {status}
    </span>
  );
}

/** The longest text of a step in a row, in characters. */
const maxStepLength = 200;

/** Shows a bar if the share is known, and the known parts of `42%  3 of 8  copying`. */
export function ProgressView({
  progress,
  status,
  label,
}: {
  progress: Progress;
  status: OperationStatus;
  label: string;
}) {
  const { fraction } = progress;
  const step = progress.status?.slice(0, maxStepLength);
  const text = percentText({ ...progress, status: step });
  if (fraction === undefined && text === "") return <span class="none">–</span>;
  return (
    <span class={`progress ${status}`}>
      {fraction !== undefined && <progress max={1} value={fraction} aria-label={label} />}
      <span class="progress-text">
        <Text value={text.replaceAll("  ", " · ")} />
      </span>
    </span>
  );
}
