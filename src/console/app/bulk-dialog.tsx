import { ConnectError } from "@connectrpc/connect";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import {
  type BulkAction,
  type BulkPlan,
  type BulkReport,
  planBulk,
  runBulk,
} from "../../bulk/bulk-operations.js";
import { codeName } from "../../status/code.js";
import { Dialog } from "./dialogs.js";
import { errorText } from "./problem.js";
import type { Session } from "./session.js";
import { Text } from "./text.js";

type Phase =
  | { readonly kind: "planning" }
  | { readonly kind: "failed"; readonly error: ConnectError }
  | { readonly kind: "planned"; readonly plan: BulkPlan }
  | { readonly kind: "running"; readonly plan: BulkPlan; readonly finished: number }
  | { readonly kind: "done"; readonly plan: BulkPlan; readonly report: BulkReport };

/** Names in the plan that are shown. */
const shownNames = 5;

/** The least time between two displays of the progress, in milliseconds. */
const displayMs = 100;

/** Cancels or deletes all operations that match the filter: counts, asks, runs, reports. */
export function BulkDialog({
  session,
  action,
  parent,
  filter,
  onClose,
}: {
  session: Session;
  action: BulkAction;
  parent: string;
  filter: string;
  onClose: () => void;
}) {
  const [phase, setPhase] = useState<Phase>({ kind: "planning" });
  const stop = useRef(new AbortController());
  useEffect(() => {
    const { signal } = stop.current;
    planBulk(session.client, { action, filter, parent, signal }).then(
      (plan) => setPhase({ kind: "planned", plan }),
      (cause) => {
        if (!signal.aborted) setPhase({ kind: "failed", error: ConnectError.from(cause) });
      },
    );
    return () => stop.current.abort();
  }, []);

  const run = async (plan: BulkPlan) => {
    let shownMs = 0;
    setPhase({ kind: "running", plan, finished: 0 });
    const report = await runBulk(session.client, plan, {
      signal: stop.current.signal,
      onProgress(finished) {
        if (performance.now() - shownMs < displayMs) return;
        shownMs = performance.now();
        setPhase({ kind: "running", plan, finished });
      },
    });
    setPhase({ kind: "done", plan, report });
  };

  const verb = action === "cancel" ? "Cancel" : "Delete";
  return (
    <Dialog title={`${verb} all matching operations`} onClose={onClose}>
      <p>
        Filter <code class="filter">{<Text value={filter} />}</code>
        {parent !== "" && (
          <>
            {" below "}
            <code>
              <Text value={parent} />
            </code>
          </>
        )}
      </p>
      <Step
        phase={phase}
        verb={verb}
        onRun={run}
        onStop={() => stop.current.abort()}
        onClose={onClose}
      />
    </Dialog>
  );
}

function Step({
  phase,
  verb,
  onRun,
  onStop,
  onClose,
}: {
  phase: Phase;
  verb: string;
  onRun: (plan: BulkPlan) => void;
  onStop: () => void;
  onClose: () => void;
}) {
  switch (phase.kind) {
    case "planning":
      return (
        <>
          <p role="status">Counting the operations…</p>
          <Buttons onClose={onClose} close="Stop" />
        </>
      );
    case "failed":
      return (
        <>
          <p class="problem" role="alert">
            <Text value={errorText(phase.error)} />
          </p>
          <p>Nothing was changed.</p>
          <Buttons onClose={onClose} close="Close" />
        </>
      );
    case "planned":
      return <Planned plan={phase.plan} verb={verb} onRun={onRun} onClose={onClose} />;
    case "running": {
      const total = phase.plan.names.length;
      return (
        <>
          <progress
            max={total}
            value={phase.finished}
            aria-label={`${verb}: finished operations`}
          />
          <p role="status">
            {phase.finished} of {total}
          </p>
          <div class="buttons">
            <button type="button" onClick={onStop}>
              Stop after the calls under way
            </button>
          </div>
        </>
      );
    }
    case "done":
      return <Report plan={phase.plan} report={phase.report} verb={verb} onClose={onClose} />;
  }
}

function Planned({
  plan,
  verb,
  onRun,
  onClose,
}: {
  plan: BulkPlan;
  verb: string;
  onRun: (plan: BulkPlan) => void;
  onClose: () => void;
}) {
  const [typed, setTyped] = useState("");
  const inputId = useId();
  const count = plan.names.length;
  if (count === 0) {
    return (
      <>
        <p role="status">No operation matches that could be changed.</p>
        <Buttons onClose={onClose} close="Close" />
      </>
    );
  }
  const submit = (event: Event) => {
    event.preventDefault();
    if (typed.trim() === String(count)) onRun(plan);
  };
  return (
    <form onSubmit={submit}>
      <p>
        <strong>
          {count} operation{count === 1 ? "" : "s"}
        </strong>
        {plan.isComplete ? "" : ", and more match: run it again afterwards"}
      </p>
      <ul class="names">
        {plan.names.slice(0, shownNames).map((name) => (
          <li key={name}>
            <Text value={name} />
          </li>
        ))}
        {count > shownNames && <li>and {count - shownNames} more</li>}
      </ul>
      <label for={inputId}>
        Type <strong>{count}</strong> to go on
      </label>
      <input
        id={inputId}
        type="text"
        inputMode="numeric"
        autocomplete="off"
        value={typed}
        onInput={(event) => setTyped(event.currentTarget.value)}
      />
      <div class="buttons">
        <button type="button" onClick={onClose}>
          Change nothing
        </button>
        <button type="submit" class="danger" disabled={typed.trim() !== String(count)}>
          {verb} {count} operation{count === 1 ? "" : "s"}
        </button>
      </div>
    </form>
  );
}

function Report({
  plan,
  report,
  verb,
  onClose,
}: {
  plan: BulkPlan;
  report: BulkReport;
  verb: string;
  onClose: () => void;
}) {
  const { succeeded, failed, failures, skipped } = report;
  const done = verb === "Cancel" ? "The server was asked to cancel" : "Deleted";
  return (
    <>
      <p role="status">
        {done} {succeeded} of {plan.names.length} operations.
        {failed > 0 && ` ${failed} failed.`}
        {skipped > 0 && ` ${skipped} were not tried.`}
        {!plan.isComplete && " More operations match: run it again."}
      </p>
      {failures.length > 0 && (
        <ul class="names">
          {failures.map(({ name, error }) => (
            <li key={name}>
              <Text value={name} />: {codeName(error.code)}: <Text value={error.rawMessage} />
            </li>
          ))}
        </ul>
      )}
      <Buttons onClose={onClose} close="Close" />
    </>
  );
}

function Buttons({ onClose, close }: { onClose: () => void; close: string }) {
  return (
    <div class="buttons">
      <button type="button" onClick={onClose}>
        {close}
      </button>
    </div>
  );
}
