import type { VNode } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { formatElapsed } from "../../display/format-time.js";
import { parseOperationName } from "../../operation/name.js";
import { type ListFeed, maxRows } from "./list-feed.js";
import { isRunning, type Row } from "./row.js";
import { ProgressView, StatusPill } from "./status.js";
import { Ago, Text, useNow } from "./text.js";

/** The heights of a row, in pixels, in style.css as well: a row of one line and of three. */
const rowHeight = { wide: 52, narrow: 92 };

/** The width of the list below which a row has three lines, in pixels. */
const narrowWidth = 620;

/** Rows above and below the visible ones that are in the document. */
const overscan = 6;

/** Most rows in the document. */
const maxElements = 90;

/** Shows the rows of the list. Only the visible ones and a few more are in the document. */
export function List({
  feed,
  version,
  activeName,
  opened,
  addressOf,
  onOpen,
  onActive,
}: {
  feed: ListFeed;
  /** Changes with the content of the feed. */
  version: number;
  /** The name of the row that the keyboard moves to; empty for none. */
  activeName: string;
  /** The name of the open operation; empty for none. */
  opened: string;
  addressOf: (name: string) => string;
  onOpen: (name: string) => void;
  onActive: (name: string) => void;
}) {
  const body = useRef<HTMLDivElement>(null);
  const isMovingFocus = useRef(false);
  const displayed = useRef<ReadonlyMap<string, Displayed>>(new Map());
  const [box, setBox] = useState({ top: 0, height: 600, width: 1000 });
  const nowMs = useNow(1000);
  const { rows, nextToken } = feed.list;
  const active = activeName === "" ? -1 : rows.findIndex(({ name }) => name === activeName);

  useLayoutEffect(() => {
    const element = body.current;
    if (element === null) return undefined;
    const measure = () =>
      setBox({
        top: element.scrollTop,
        height: element.clientHeight,
        width: element.clientWidth,
      });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener("scroll", measure, { passive: true });
    measure();
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", measure);
    };
  }, []);

  const isNarrow = box.width < narrowWidth;
  const height = isNarrow ? rowHeight.narrow : rowHeight.wide;
  const first = Math.max(0, Math.floor(box.top / height));
  const last = Math.min(rows.length - 1, Math.ceil((box.top + box.height) / height));
  const from = Math.max(0, first - overscan);
  const to = Math.min(rows.length - 1, last + overscan, from + maxElements - 1);

  useEffect(() => feed.show(first, last), [feed, first, last, version]);

  // A key moves the focus: the list scrolls to the row, so that the document contains its element.
  useLayoutEffect(() => {
    const element = body.current;
    if (element === null || active < 0) return;
    const top = active * height;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + height > element.scrollTop + element.clientHeight) {
      element.scrollTop = top + height - element.clientHeight;
    }
  }, [activeName]);
  useEffect(() => {
    if (active < 0) return;
    isMovingFocus.current = true;
    body.current?.querySelector<HTMLElement>(`[data-row="${active}"] a`)?.focus({
      preventScroll: true,
    });
    isMovingFocus.current = false;
  }, [activeName]);

  // The rows handle no events, so that an unchanged row can be rendered again without changes.
  const rowOfEvent = (event: Event) => {
    const row = event.target instanceof Element ? event.target.closest("[data-row]") : null;
    return row === null ? -1 : Number(row.getAttribute("data-row"));
  };
  const onClick = (event: MouseEvent) => {
    // The browser opens another tab or window itself.
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const row = rows[rowOfEvent(event)];
    if (row === undefined || !(event.target as Element).closest("a")) return;
    event.preventDefault();
    onOpen(row.name);
  };
  const onFocusIn = (event: FocusEvent) => {
    const index = rowOfEvent(event);
    // Another key may have moved the active row since this focus was requested.
    if (!isMovingFocus.current) onActive(rows[index]?.name ?? "");
  };

  const indexes: number[] = [];
  if (active >= 0 && active < from && active < rows.length) indexes.push(active);
  for (let index = from; index <= to; index += 1) indexes.push(index);
  if (active > to && active < rows.length) indexes.push(active);

  const before = displayed.current;
  const now = new Map<string, Displayed>();
  const shown = indexes.flatMap((index) => {
    const row = rows[index];
    if (row === undefined) return [];
    const props: RowProps = {
      row,
      parent: feed.parent,
      index,
      top: index * height,
      nowMs,
      isOpen: row.name === opened,
      address: addressOf(row.name),
    };
    const known = before.get(row.name);
    const isSame = known !== undefined && isSameProps(known.props, props);
    const display = isSame ? known : { props, node: <RowView key={row.name} {...props} /> };
    now.set(row.name, display);
    return [display.node];
  });
  displayed.current = now;

  return (
    <div
      class={isNarrow ? "list narrow" : "list"}
      role="table"
      aria-label="Operations"
      aria-rowcount={nextToken === undefined ? rows.length + 1 : -1}
    >
      <div role="rowgroup" class="list-head">
        <div role="row" class="row head" aria-rowindex={1}>
          {["State", "Operation", "Progress", "Started", "Duration", "Ended"].map((name) => (
            <span key={name} role="columnheader" class={`cell ${name.toLowerCase()}`}>
              {name}
            </span>
          ))}
        </div>
      </div>
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: Enter on a row's link is a click */}
      <div ref={body} role="rowgroup" class="list-body" onClick={onClick} onFocusIn={onFocusIn}>
        {/* The height of all rows, so that the scrollbar is right. */}
        <div class="spacer" role="presentation" style={{ height: `${rows.length * height}px` }}>
          {shown}
        </div>
      </div>
      <p class="list-foot">{footText(feed)}</p>
    </div>
  );
}

/** Leaves out the parent of the list, which is above it. */
function shownName(name: string, parent: string): string {
  const operation = parseOperationName(name);
  return operation !== undefined && operation.parent === parent ? operation.id : name;
}

function footText({ list, isLoadingMore }: ListFeed): string {
  const count = list.rows.length.toLocaleString("en");
  if (isLoadingMore) return `${count} operations, loading more…`;
  if (list.rows.length >= maxRows)
    return `The first ${count} operations: use a filter to see others`;
  return list.nextToken === undefined ? `${count} operations` : `${count} operations loaded`;
}

interface RowProps {
  readonly row: Row;
  /** The parent of the list. */
  readonly parent: string;
  readonly index: number;
  /** The distance from the top of the list, in pixels. */
  readonly top: number;
  readonly nowMs: number;
  readonly isOpen: boolean;
  readonly address: string;
}

/** A row of the last display. */
interface Displayed {
  readonly props: RowProps;
  readonly node: VNode;
}

function isSameProps(one: RowProps, other: RowProps): boolean {
  return (Object.keys(one) as (keyof RowProps)[]).every((name) => one[name] === other[name]);
}

function RowView({ row, parent, index, top, nowMs, isOpen, address }: RowProps) {
  const { name, summary } = row;
  const { createTimeMs, endTimeMs } = summary;
  const endMs = isRunning(row) ? nowMs : endTimeMs;
  return (
    <div
      role="row"
      class={isOpen ? "row open" : "row"}
      aria-rowindex={index + 2}
      data-row={index}
      style={{ transform: `translateY(${top}px)` }}
    >
      <span role="cell" class="cell state">
        <StatusPill status={summary.status} />
      </span>
      <span role="cell" class="cell operation">
        <a href={address} aria-current={isOpen ? "true" : undefined}>
          <Text value={summary.kind === "" ? name : summary.kind} max={200} />
          {summary.kind !== "" && (
            <span class="row-name">
              <Text value={shownName(name, parent)} max={300} />
            </span>
          )}
        </a>
      </span>
      <span role="cell" class="cell progress-cell">
        {summary.error === "" ? (
          <ProgressView
            progress={summary.progress}
            status={summary.status}
            label={`Progress of ${name.slice(0, 200)}`}
          />
        ) : (
          <span class={`row-error ${summary.status}`}>
            <Text value={summary.error} max={200} />
          </span>
        )}
      </span>
      <span role="cell" class="cell started">
        <Ago ms={createTimeMs} nowMs={nowMs} />
      </span>
      <span role="cell" class="cell duration">
        {createTimeMs === undefined || endMs === undefined ? (
          <span class="none">–</span>
        ) : (
          formatElapsed(endMs - createTimeMs)
        )}
      </span>
      <span role="cell" class="cell ended">
        <Ago ms={endTimeMs} nowMs={nowMs} />
      </span>
    </div>
  );
}
