import type { JsonValue } from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import { ConnectError } from "@connectrpc/connect";
import { useEffect, useRef, useState } from "preact/hooks";
import { OperationError } from "../../client/operation-error.js";
import { operationStates } from "../../client/operation-states.js";
import { formatElapsed } from "../../display/format-time.js";
import { systemClock } from "../../internal/clock.js";
import { isJsonObject } from "../../json/message-json.js";
import { OperationSchema } from "../../protos.js";
import { callTexts } from "./copy-as.js";
import type { Action } from "./dialogs.js";
import { ErrorDetails } from "./error-details.js";
import { errorText, Notice, remedyOf } from "./problem.js";
import { type Row, rowOf } from "./row.js";
import type { Session } from "./session.js";
import { ProgressView, StatusPill } from "./status.js";
import { Ago, CopyButton, exactTime, Text, useNow, useVisible } from "./text.js";
import { type TimelineEntry, withChange } from "./timeline.js";
import { ValueTree } from "./value-tree.js";

/** The longest raw JSON that is shown, in characters; the button copies all of it. */
const maxJsonLength = 100_000;

/** An open operation, with its payloads as JSON. */
interface Opened {
  readonly row: Row;
  /** The operation in proto3 JSON. Undefined if it cannot be written as JSON. */
  readonly json: JsonValue | undefined;
}

/** One operation, followed until it is done. */
export function Detail({
  session,
  name,
  known,
  actions,
  round,
  onAction,
  onState,
  onError,
  onClose,
}: {
  session: Session;
  name: string;
  /** The row of the list, which is shown until the first response; undefined if it is not in the list. */
  known: Row | undefined;
  actions: readonly Action[];
  /** Another number follows the operation anew. */
  round: number;
  onAction: (action: Action) => void;
  /** Called with each state, and with undefined when the server no longer has the operation. */
  onState: (row: Row | undefined) => void;
  onError: (error: ConnectError) => void;
  onClose: () => void;
}) {
  const [opened, setOpened] = useState<Opened>();
  const [error, setError] = useState<ConnectError>();
  const [timeline, setTimeline] = useState<readonly TimelineEntry[]>([]);
  const latest = useRef<Row>(undefined);
  const isVisible = useVisible();
  const isDone = opened?.row.operation.done === true;

  useEffect(() => {
    if (!isVisible || latest.current?.operation.done) return undefined;
    const left = new AbortController();
    const follow = async () => {
      const options = { clock: systemClock, signal: left.signal, timeoutMs: undefined };
      for await (const operation of operationStates(session.client, name, options)) {
        const row = await rowOf(operation, session.types);
        const json = await session.types.json(OperationSchema, operation).catch(() => undefined);
        if (left.signal.aborted) return;
        const before = latest.current;
        latest.current = row;
        setError(undefined);
        setOpened({ row, json });
        setTimeline((all) => withChange(all, before?.summary, row.summary, Date.now()));
        onState(row);
      }
    };
    follow().catch((cause: unknown) => {
      if (left.signal.aborted) return;
      const failure = ConnectError.from(cause);
      setError(failure);
      if (isGone(cause)) onState(undefined);
      onError(failure);
    });
    return () => left.abort();
  }, [session, name, isVisible, round]);

  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);

  const row = opened?.row ?? known;
  return (
    <article class="detail-pane" aria-label="Operation">
      <header>
        <div class="detail-title">
          <h2 ref={heading} tabIndex={-1}>
            {row === undefined || row.summary.kind === "" ? (
              "Operation"
            ) : (
              <Text value={row.summary.kind} max={200} />
            )}
          </h2>
          <button type="button" class="close" aria-label="Close the operation" onClick={onClose}>
            ×
          </button>
        </div>
        <p class="name">
          <Text value={name} max={1024} /> <CopyButton value={name} what="the name" />
        </p>
      </header>
      {error !== undefined && (
        <Notice
          title={
            isGone(error) ? "The server does not have this operation" : "It cannot be followed"
          }
          text={errorText(error)}
          isError
        >
          <p>
            {isGone(error) ? "It was deleted, has expired, or never existed." : remedyOf(error)}
          </p>
        </Notice>
      )}
      {row === undefined && error === undefined && <p role="status">Loading…</p>}
      {row !== undefined && (
        <Content
          session={session}
          row={row}
          json={opened?.json}
          timeline={timeline}
          actions={isGone(error) ? [] : actions.filter((one) => one === "delete" || !isDone)}
          onAction={onAction}
        />
      )}
    </article>
  );
}

function isGone(cause: unknown): boolean {
  const isKind = cause instanceof OperationError && cause.kind === "gone";
  return isKind || (cause instanceof ConnectError && errorText(cause).startsWith("NOT_FOUND"));
}

function Content({
  session,
  row,
  json,
  timeline,
  actions,
  onAction,
}: {
  session: Session;
  row: Row;
  json: JsonValue | undefined;
  timeline: readonly TimelineEntry[];
  actions: readonly Action[];
  onAction: (action: Action) => void;
}) {
  const { operation, summary } = row;
  const nowMs = useNow(1000);
  const { createTimeMs, endTimeMs, status } = summary;
  const lengthMs =
    createTimeMs === undefined
      ? undefined
      : lengthOf(createTimeMs, endTimeMs, operation.done, nowMs);
  const members = isJsonObject(json) ? json : {};
  const { result } = operation;
  return (
    <>
      <div class="detail-state">
        <StatusPill status={status} />
        <ProgressView progress={summary.progress} status={status} label="Progress" />
        <span class="grow" />
        {actions.includes("cancel") && (
          <button type="button" class="danger" onClick={() => onAction("cancel")}>
            Cancel…
          </button>
        )}
        {actions.includes("delete") && (
          <button type="button" onClick={() => onAction("delete")}>
            Delete…
          </button>
        )}
      </div>
      <dl class="facts">
        <div>
          <dt>Started</dt>
          <dd>
            <Ago ms={createTimeMs} nowMs={nowMs} />
          </dd>
        </div>
        <div>
          <dt>{operation.done ? "Took" : "Runs for"}</dt>
          <dd>{lengthMs === undefined ? "–" : formatElapsed(lengthMs)}</dd>
        </div>
        <div>
          <dt>Ended</dt>
          <dd>
            <Ago ms={endTimeMs} nowMs={nowMs} />
          </dd>
        </div>
      </dl>
      {result.case === "error" && (
        <ErrorDetails status={result.value} json={members.error} endTimeMs={endTimeMs} />
      )}
      {members.response !== undefined && (
        <section>
          <h3>Response</h3>
          <ValueTree value={members.response} />
        </section>
      )}
      {members.metadata !== undefined && (
        <section>
          <h3>Metadata</h3>
          <ValueTree value={members.metadata} />
        </section>
      )}
      <section>
        <h3>Seen by this page</h3>
        <ol class="timeline">
          {timeline.map(({ atMs, text }) => (
            <li key={`${atMs} ${text}`}>
              <time dateTime={new Date(atMs).toISOString()} title={exactTime(atMs)}>
                {new Date(atMs).toLocaleTimeString()}
              </time>{" "}
              <Text value={text} max={300} />
            </li>
          ))}
        </ol>
      </section>
      <RawJson row={row} json={json} />
      <section>
        <h3>Call it yourself</h3>
        <p class="copies">
          {callTexts(operation.name, session.config, location.href).map(({ label, text }) => (
            <CopyButton key={label} value={text} what={`GetOperation as ${label}`}>
              {label}
            </CopyButton>
          ))}
        </p>
      </section>
    </>
  );
}

function RawJson({ row, json }: { row: Row; json: JsonValue | undefined }) {
  const [isOpen, setOpen] = useState(false);
  const { metadata } = row.operation;
  const onToggle = (event: Event & { currentTarget: HTMLDetailsElement }) =>
    setOpen(event.currentTarget.open);
  if (json === undefined) {
    if (metadata === undefined) return null;
    return (
      <section>
        <h3>Metadata as bytes</h3>
        <p class="hint">The payload cannot be shown as JSON: it may be too deep.</p>
        <CopyButton value={base64Encode(metadata.value)} what="the metadata in base64" />
      </section>
    );
  }
  return (
    <details onToggle={onToggle}>
      <summary>JSON</summary>
      {isOpen && <JsonText text={JSON.stringify(json, undefined, 2)} />}
    </details>
  );
}

function JsonText({ text }: { text: string }) {
  return (
    <>
      <CopyButton value={text} what="the JSON" />
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard */}
      <pre tabIndex={0} role="region" aria-label="JSON">
        {text
          .slice(0, maxJsonLength)
          .split("\n")
          .map((line, at) => (
            <div key={at}>
              <Text value={line} />
            </div>
          ))}
        {text.length > maxJsonLength && "…"}
      </pre>
    </>
  );
}

function lengthOf(
  createTimeMs: number,
  endTimeMs: number | undefined,
  isDone: boolean,
  nowMs: number,
): number | undefined {
  if (isDone) return endTimeMs === undefined ? undefined : endTimeMs - createTimeMs;
  return nowMs - createTimeMs;
}
