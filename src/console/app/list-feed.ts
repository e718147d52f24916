import { Code, ConnectError } from "@connectrpc/connect";
import { contradictionOf } from "../../bulk/filter-verdict.js";
import { retryDelayMs } from "../../client/retry-delay.js";
import type { ListOperationsResponse, Operation } from "../../protos.js";
import {
  emptyList,
  type ListModel,
  pagesAt,
  withNextPage,
  withPageAgain,
  withRow,
} from "./list-model.js";
import { isRunning, isSameRow, type Row, rowOf } from "./row.js";
import { callTimeoutMs, type Session } from "./session.js";

/** Operations in a page. */
const pageSize = 100;

/** Operations that are read without a pause, so that scrolling stays smooth. */
const rowsPerTask = 25;

/** Most rows that the page keeps; beyond it a filter is of more use than a longer list. */
export const maxRows = 50_000;

/** Most pages that one round loads again, which bounds the requests per minute. */
const maxPagesPerRound = 2;

/** The pauses between rounds, in milliseconds: with a change, with running operations, without. */
const pauseMs = {
  changed: 2000,
  running: 4000,
  quiet: 12_000,
  failedFirst: 2000,
  failedMost: 30_000,
};

/** The state of the list. */
export type ListPhase =
  | { readonly kind: "loading" }
  | { readonly kind: "ready" }
  /** The latest request failed; the feed tries again by itself if `retryAtMs` is defined. */
  | {
      readonly kind: "failed";
      readonly error: ConnectError;
      readonly retryAtMs: number | undefined;
    };

/**
 * Loads one list page by page and keeps its visible part up to date: while the tab is visible, the
 * visible pages are listed again, one request each, with longer pauses while nothing changes.
 */
export class ListFeed {
  list: ListModel<Row> = emptyList;
  phase: ListPhase = { kind: "loading" };
  isLoadingMore = false;
  /** Whether a listed operation shows that the server ignores the filter. */
  ignoresFilter = false;
  /** Places that the server could not reach (AIP-217). */
  unreachable: readonly string[] = [];
  #visible: readonly [first: number, last: number] = [0, 0];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #calls = new AbortController();
  #failures = 0;
  #isStopped = true;
  readonly #contradicts: (operation: Operation) => boolean;

  constructor(
    readonly session: Session,
    readonly parent: string,
    readonly filter: string,
    readonly onChange: () => void,
  ) {
    this.#contradicts = contradictionOf(filter);
  }

  /** Loads the first page, or the visible pages again. */
  start(): void {
    this.stop();
    this.#isStopped = false;
    this.#calls = new AbortController();
    void this.#round();
  }

  /** Ends all requests and timers. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#calls.abort();
  }

  /** Notes the visible rows. */
  show(first: number, last: number): void {
    this.#visible = [first, last];
    const { rows, nextToken } = this.list;
    const isNearEnd = last >= rows.length - pageSize / 2;
    if (isNearEnd && nextToken !== undefined && rows.length > 0 && rows.length < maxRows) {
      void this.#loadMore();
    }
  }

  /** Shows a new state of an operation, or removes it if `row` is undefined. */
  set(name: string, row: Row | undefined): void {
    const list = withRow(this.list, name, row);
    if (list === this.list) return;
    this.list = list;
    this.onChange();
  }

  async #loadMore(): Promise<void> {
    const token = this.list.nextToken;
    if (this.isLoadingMore || this.#isStopped || token === undefined) return;
    this.isLoadingMore = true;
    try {
      const page = await this.#fetch(token);
      const rows = await this.#rowsOf(page);
      // Another request may have changed the end of the list during this request.
      if (this.list.nextToken === token) {
        this.list = withNextPage(this.list, rows, page.nextPageToken);
      }
    } catch (cause) {
      this.#fail(cause);
    } finally {
      this.isLoadingMore = false;
      this.onChange();
    }
  }

  async #round(): Promise<void> {
    clearTimeout(this.#timer);
    const { signal } = this.#calls;
    let hasChanged = false;
    try {
      if (this.list.pages.length === 0) {
        const page = await this.#fetch("");
        const rows = await this.#rowsOf(page);
        if (signal.aborted) return;
        this.list = withNextPage({ ...emptyList }, rows, page.nextPageToken);
        hasChanged = true;
      } else {
        const [first, last] = this.#visible;
        for (const at of pagesAt(this.list, first, last).slice(0, maxPagesPerRound)) {
          hasChanged = (await this.#loadAgain(at, signal)) || hasChanged;
          if (signal.aborted) return;
        }
      }
    } catch (cause) {
      if (!signal.aborted) this.#fail(cause);
      return;
    }
    this.#failures = 0;
    const wasReady = this.phase.kind === "ready";
    this.phase = { kind: "ready" };
    if (hasChanged || !wasReady) this.onChange();
    this.#later(
      hasChanged ? pauseMs.changed : this.#hasRunning() ? pauseMs.running : pauseMs.quiet,
    );
  }

  /** @returns Whether the page has changed. */
  async #loadAgain(at: number, signal: AbortSignal): Promise<boolean> {
    const token = this.list.pages[at]?.token;
    if (token === undefined) return false;
    const page = await this.#fetch(token);
    const rows = await this.#rowsOf(page);
    const before = this.list.pages[at];
    if (signal.aborted || before?.token !== token) return false;
    const isSame =
      before.rows.length === rows.length &&
      rows.every((row, index) => {
        const old = before.rows[index];
        return old?.name === row.name && isSameRow(old, row);
      });
    if (isSame && page.nextPageToken !== "") return false;
    this.list = withPageAgain(this.list, at, rows, page.nextPageToken);
    return !isSame;
  }

  #fetch(pageToken: string): Promise<ListOperationsResponse> {
    const { parent: name, filter } = this;
    const options = { signal: this.#calls.signal, timeoutMs: callTimeoutMs };
    return this.session.rpc.listOperations({ name, filter, pageSize, pageToken }, options);
  }

  async #rowsOf({ operations, unreachable }: ListOperationsResponse): Promise<Row[]> {
    this.ignoresFilter = operations.some(this.#contradicts);
    this.unreachable = unreachable;
    const rows: Row[] = [];
    for (let at = 0; at < operations.length; at += rowsPerTask) {
      if (at > 0) await nextTask();
      const some = operations.slice(at, at + rowsPerTask);
      rows.push(...(await Promise.all(some.map((one) => rowOf(one, this.session.types)))));
    }
    return rows;
  }

  #hasRunning(): boolean {
    const [first, last] = this.#visible;
    return this.list.rows.slice(first, last + 1).some(isRunning);
  }

  #fail(cause: unknown): void {
    if (this.#isStopped) return;
    const error = ConnectError.from(cause);
    if (error.code === Code.Canceled) return;
    this.#failures += 1;
    if (!isWorthRetrying(error)) {
      this.phase = { kind: "failed", error, retryAtMs: undefined };
    } else {
      const backoffMs = pauseMs.failedFirst * 2 ** Math.min(this.#failures - 1, 10);
      const delayMs = Math.max(
        Math.min(backoffMs, pauseMs.failedMost),
        retryDelayMs(error, Date.now()),
      );
      this.phase = { kind: "failed", error, retryAtMs: Date.now() + delayMs };
      this.#later(delayMs);
    }
    this.onChange();
  }

  #later(delayMs: number): void {
    clearTimeout(this.#timer);
    if (!this.#isStopped) this.#timer = setTimeout(() => void this.#round(), delayMs);
  }
}

/** Lets the browser handle events and draw. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** Whether the same request may succeed later (AIP-194, and states of the network). */
function isWorthRetrying({ code }: ConnectError): boolean {
  return ![
    Code.InvalidArgument,
    Code.NotFound,
    Code.PermissionDenied,
    Code.Unauthenticated,
    Code.Unimplemented,
    Code.FailedPrecondition,
    Code.OutOfRange,
  ].includes(code);
}
