import { create } from "@bufbuild/protobuf";
import { type Any, anyPack, type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import {
  ProbeResponse_Work,
  ProgressSchema,
  ResultSchema,
  type StartRequest,
} from "../../../src/conformance/driver.js";
import { type Operation, OperationSchema, type Status, StatusSchema } from "../../../src/protos.js";
import { rpcError } from "./rpc-error.js";

/** Behaviour of the server beyond its mutants. */
export interface ModelOptions {
  /** Number of the mutant; 0: none. */
  readonly mutant: number;
  /** Length of the specification's second, in milliseconds. */
  readonly unitMs: number;
  /** Whether another caller's operation is NOT_FOUND instead of PERMISSION_DENIED. */
  readonly hidesForeign: boolean;
}

/** Caller of a request: undefined without credentials. */
export type Caller = "owner" | "stranger" | undefined;

export interface Call {
  readonly caller: Caller;
  /** Deadline of the call, in milliseconds. Undefined: none. */
  readonly deadlineMs: number | undefined;
  readonly signal: AbortSignal;
}

interface Record {
  readonly name: string;
  readonly parent: string;
  readonly sequence: number;
  readonly plan: StartRequest;
  readonly waiters: Set<() => void>;
  percent: number;
  result:
    | { readonly case: "response"; readonly value: Any }
    | { readonly case: "error"; readonly value: Status }
    | undefined;
  isDeleted: boolean;
  isHidden: boolean;
  isCancelRequested: boolean;
  work: "running" | "ended" | "stopped";
  timers: ReturnType<typeof setTimeout>[];
  reads: number;
}

export interface ListRequest {
  readonly name: string;
  readonly filter: string;
  readonly pageSize: number;
  readonly pageToken: string;
  readonly returnPartialSuccess: boolean;
}

const defaultPageSize = 3;
const maxPageSize = 1000;
const maxDurationSeconds = 315_576_000_000n;

/**
 * A correct server of operations in memory, in one place for each of the specification's mutants:
 * `is(n)` is true for the chosen one.
 */
export function createModel({ mutant, unitMs, hidesForeign }: ModelOptions) {
  const is = (...numbers: readonly number[]) => numbers.includes(mutant);
  const records = new Map<string, Record>();
  const requestIds = new Map<string, string>();
  const usedTokens = new Set<string>();
  let sequence = 0;
  let begun = 0;
  let starts = 0;
  let inFlight = 0;

  const later = (record: Record, ms: number, act: () => void) => {
    record.timers.push(setTimeout(act, ms));
  };
  const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

  const isForeign = (name: string, caller: Caller) =>
    caller === "stranger" && !name.startsWith("printers/s");

  const authenticate = (caller: Caller) => {
    if (caller !== undefined) return;
    throw is(95)
      ? rpcError("PERMISSION_DENIED", "DENIED", "permission denied")
      : rpcError("UNAUTHENTICATED", "NO_CREDENTIALS", "credentials are missing");
  };
  const denied = () => rpcError("PERMISSION_DENIED", "DENIED", "permission denied");
  const notFound = (name: string) => {
    const message = `operation "${name}" does not exist`;
    if (is(18)) return rpcError("INTERNAL", "CRASHED", message, { name });
    if (is(88)) return rpcError("NOT_FOUND", "operation missing", message);
    const reason = is(89) ? `MISSING_${Math.floor(Math.random() * 1e9)}` : "OPERATION_NOT_FOUND";
    return rpcError("NOT_FOUND", reason, message, { name });
  };

  /** Finds the record of a call, or throws. */
  const find = (name: string, { caller }: Call, isGuarded = true): Record => {
    authenticate(caller);
    if (isGuarded && isForeign(name, caller)) {
      if (hidesForeign) throw notFound(name);
      if (!is(92) || records.has(name)) throw denied();
    }
    let record = records.get(name);
    if (is(19)) {
      record ??= [...records.values()].find(
        (one) => name !== "" && (name.startsWith(one.name) || one.name.startsWith(name)),
      );
    }
    if (record === undefined || record.isDeleted || record.isHidden) throw notFound(name);
    return record;
  };

  const wake = (record: Record) => {
    const waiting = [...record.waiters];
    if (is(72)) waiting.splice(1);
    for (const waiter of waiting) waiter();
  };

  const end = (
    record: Record,
    result: NonNullable<Record["result"]>,
    work: "ended" | "stopped",
  ) => {
    if (record.result !== undefined && !is(52, 50)) return;
    record.result = result;
    record.work = work;
    if (work === "ended") record.percent = is(78) ? 0 : 100;
    if (is(15)) record.isHidden = true;
    if (is(20)) {
      later(record, 2 * unitMs, () => {
        record.isHidden = true;
      });
    }
    if (is(7)) {
      later(record, unitMs / 10, () => {
        record.result = responseOf("a late report");
      });
    }
    const isCancel = result.case === "error" && result.value.code === 1;
    if (is(68)) later(record, 60 * unitMs, () => wake(record));
    else if (!(is(54) && isCancel)) wake(record);
  };

  const responseOf = (text: string) => ({
    case: "response" as const,
    value: anyPack(ResultSchema, create(ResultSchema, { text })),
  });
  const errorOf = (status: Status) => ({ case: "error" as const, value: status });
  const cancelled = () =>
    errorOf(create(StatusSchema, { code: is(46) ? 10 : 1, message: "cancelled" }));

  const plannedEnd = ({ plan }: Record) => {
    if (plan.end.case !== "error") {
      return responseOf(plan.end.case === "result" ? plan.end.value.text : "");
    }
    const status = plan.end.value;
    const isKnown = (detail: Any) => detail.typeUrl.endsWith("google.rpc.ErrorInfo");
    const details = is(75) ? [] : is(76) ? status.details.filter(isKnown) : status.details;
    const code = is(3) ? 0 : is(4) ? 418 : status.code;
    return errorOf(create(StatusSchema, { code, message: status.message, details }));
  };

  const run = (record: Record) => {
    begun += 1;
    const { plan } = record;
    if (plan.runsFor === undefined) return;
    const ms = msOf(plan.runsFor);
    for (let report = 1; report <= plan.reports; report += 1) {
      later(record, (ms * report) / (plan.reports + 1), () => {
        if (!is(78)) record.percent = Math.round((100 * report) / (plan.reports + 1));
      });
    }
    later(record, ms, () => {
      if (record.work !== "stopped" || is(52)) end(record, plannedEnd(record), "ended");
    });
  };

  const metadataOf = (record: Record): Any =>
    is(77)
      ? anyPack(DurationSchema, create(DurationSchema, { seconds: 1n }))
      : anyPack(ProgressSchema, create(ProgressSchema, { percent: record.percent }));

  const show = (record: Record): Operation => {
    const { result, name } = record;
    const isDone = result !== undefined;
    const shown = create(OperationSchema, {
      name,
      done: isDone,
      metadata: metadataOf(record),
      result: result ?? { case: undefined },
    });
    if (is(1) && !isDone) shown.result = responseOf("early");
    if (is(16) && isDone && result.case === "response") shown.result = { case: undefined };
    if (is(5)) {
      if (shown.metadata !== undefined) shown.metadata.typeUrl = typeName(shown.metadata);
    }
    return shown;
  };
  const typeName = ({ typeUrl }: Any) => typeUrl.slice(typeUrl.lastIndexOf("/") + 1);

  /** How a Get or Wait shows a record. */
  const read = (record: Record): Operation => {
    const shown = show(record);
    if (record.result !== undefined) record.reads += 1;
    if (is(6) && record.reads > 1) {
      shown.done = false;
      shown.result = { case: undefined };
    }
    if (is(8)) shown.name = shown.name.slice(shown.name.lastIndexOf("/") + 1);
    return shown;
  };

  const newId = () => {
    if (is(11)) return String(Date.now());
    return crypto.randomUUID();
  };

  const isBusy = (key: string) =>
    [...records.values()].some(
      (record) => record.plan.exclusiveKey === key && record.result === undefined,
    );

  /** A test of records for a filter, or an error. */
  const filterOf = (filter: string): ((record: Record) => boolean) => {
    const text = filter.trim();
    if (text === "" || is(44)) return () => true;
    const [, negation = "", value] = /^(NOT |-)?done = (true|false)$/.exec(text) ?? [];
    if (value === undefined) {
      if (is(42)) return () => true;
      throw rpcError("INVALID_ARGUMENT", "BAD_FILTER", "the filter is invalid");
    }
    return ({ result }) => {
      const isDone = result !== undefined;
      if (is(43) && negation === "-") return false;
      if (is(41) && value === "false" && negation === "") return isDone;
      const holds = isDone === (value === "true");
      return negation === "" ? holds : !holds;
    };
  };

  const tokenOf = (state: object): string => {
    const bytes = new TextEncoder().encode(JSON.stringify(state));
    const text = String.fromCharCode(...bytes);
    if (is(32)) return btoa(`\xfb\xef\xbe${text}`);
    return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  };
  const readToken = (
    token: string,
  ): { at: number; name: string; filter: string; size: number } | undefined => {
    try {
      const text = atob(token.replaceAll("-", "+").replaceAll("_", "/"));
      return JSON.parse(is(32) ? text.slice(3) : text);
    } catch {
      return undefined;
    }
  };

  const model = {
    /** Runs a call while counting those in progress. */
    async counted<T>(work: () => Promise<T>): Promise<T> {
      inFlight += 1;
      try {
        await sleep(0);
        return await work();
      } finally {
        inFlight -= 1;
      }
    },

    async start(plan: StartRequest, { caller }: Call): Promise<Operation> {
      authenticate(caller);
      if (isForeign(plan.parent, caller) && !hidesForeign) throw denied();
      if (plan.end.case === "refuse" && !(is(85) && plan.validateOnly)) {
        if (!is(12)) throw rpcError("FAILED_PRECONDITION", "REFUSED", "the start is refused");
        const error = create(StatusSchema, { code: 9, message: "refused" });
        return create(OperationSchema, {
          name: `${plan.parent}/operations/${newId()}`,
          done: true,
          result: errorOf(error),
        });
      }
      if (plan.validateOnly) {
        if (is(84)) return create(OperationSchema, {});
        if (is(86)) begun += 1;
        return create(OperationSchema, { done: true, result: responseOf("") });
      }
      if (plan.requestId !== "" && !is(80)) {
        const id = is(83) ? "the one" : plan.requestId;
        const known = records.get(requestIds.get(id) ?? "");
        if (known !== undefined) {
          if (is(82)) throw rpcError("ALREADY_EXISTS", "REPEATED", "the request id is in use");
          return show(known);
        }
        if (is(81)) await sleep(1);
      }
      if (plan.exclusiveKey !== "" && isBusy(plan.exclusiveKey)) {
        throw rpcError(is(13) ? "FAILED_PRECONDITION" : "ABORTED", "BUSY", "the resource is busy");
      }
      const name = is(22)
        ? `${plan.parent}/jobs/a ${newId()}`
        : `${plan.parent}/operations/${newId()}`;
      sequence += 1;
      const record: Record = {
        name,
        parent: plan.parent,
        sequence,
        plan,
        waiters: new Set(),
        percent: 0,
        result: undefined,
        isDeleted: false,
        isHidden: false,
        isCancelRequested: false,
        work: "running",
        timers: [],
        reads: 0,
      };
      starts += 1;
      const isLost = is(10) && starts % 10 === 0;
      if (is(9)) setTimeout(() => records.set(name, record), 2 * unitMs);
      else if (!isLost) records.set(name, record);
      if (plan.requestId !== "") requestIds.set(is(83) ? "the one" : plan.requestId, name);
      run(record);
      return show(record);
    },

    async get(name: string, call: Call): Promise<Operation> {
      if (is(14)) throw rpcError("UNIMPLEMENTED", "NO_METHOD", "not implemented");
      if (is(17) && !records.has(name)) return create(OperationSchema, { name });
      const record = find(name, call, !is(91));
      const { result } = record;
      if (is(74) && result?.case === "error") {
        throw rpcError("FAILED_PRECONDITION", "FAILED", result.value.message);
      }
      return read(record);
    },

    async list(request: ListRequest, { caller }: Call) {
      authenticate(caller);
      const { name, filter, pageToken, returnPartialSuccess } = request;
      const isStranger = isForeign(name, caller);
      const isUnguarded = is(94) && pageToken !== "";
      if (isStranger && !hidesForeign && !is(92) && !isUnguarded) throw denied();
      if (returnPartialSuccess && !is(39)) {
        throw rpcError("UNIMPLEMENTED", "NO_PARTIAL_SUCCESS", "partial success is not supported");
      }
      if (request.pageSize < 0 && !is(29)) {
        throw rpcError("INVALID_ARGUMENT", "BAD_PAGE_SIZE", "page_size is negative");
      }
      if (is(26) && request.pageSize === 0) {
        throw rpcError("INVALID_ARGUMENT", "BAD_PAGE_SIZE", "page_size is required");
      }
      if (is(30) && request.pageSize > maxPageSize) {
        throw rpcError("INVALID_ARGUMENT", "BAD_PAGE_SIZE", "page_size is too large");
      }
      if (isStranger && !hidesForeign && !isUnguarded) throw denied();
      let size = request.pageSize > 0 ? Math.min(request.pageSize, maxPageSize) : defaultPageSize;
      let at = Number.POSITIVE_INFINITY;
      if (pageToken !== "") {
        const token = readToken(pageToken);
        const isMoved = token !== undefined && (token.name !== name || token.filter !== filter);
        const isUsed = is(33) && usedTokens.has(pageToken);
        if ((token === undefined && !is(34)) || (isMoved && !is(35)) || isUsed) {
          throw rpcError("INVALID_ARGUMENT", "BAD_PAGE_TOKEN", "page_token is invalid");
        }
        usedTokens.add(pageToken);
        at = token?.at ?? at;
        if (is(25)) size = token?.size ?? size;
      }
      if (is(24)) size = 1000;
      const isIn = (record: Record) =>
        is(36) ||
        name === record.parent ||
        (name === "printers/-" && record.parent.startsWith("printers/"));
      const all = [...records.values()]
        .filter((record) => isIn(record) && !record.isHidden && (!record.isDeleted || is(56)))
        .filter((record) => !(hidesForeign && isForeign(record.name, caller)))
        .filter((record) => !(is(23) && record.result === undefined))
        .filter(filterOf(filter))
        .sort((one, other) => other.sequence - one.sequence);
      const isOffset = is(45);
      const offset = isOffset && at !== Number.POSITIVE_INFINITY ? at : 0;
      const rest = isOffset ? all.slice(offset) : all.filter((record) => record.sequence < at);
      const page = is(28) ? [] : rest.slice(0, size);
      const lastOne = page.at(-1);
      const isMore = rest.length > page.length && !is(28);
      const nextAt = isOffset
        ? offset + page.length
        : is(31)
          ? (lastOne?.sequence ?? 0) + (page.length > 1 ? 1 : 0)
          : (lastOne?.sequence ?? 0);
      const isEndless = is(27) && !isMore && at !== Number.POSITIVE_INFINITY;
      const nextPageToken = isMore
        ? tokenOf({ at: nextAt, name, filter, size })
        : isEndless
          ? pageToken
          : "";
      const operations = page.map((record) => {
        const shown = show(record);
        if (is(37)) {
          shown.done = false;
          shown.result = { case: undefined };
        }
        if (is(40) && name === "printers/-") {
          shown.name = shown.name.replace(/^printers\/[^/]+/, "printers/-");
        }
        return shown;
      });
      return { operations, nextPageToken, unreachable: is(38) ? ["printers/z"] : [] };
    },

    async cancel(name: string, call: Call): Promise<void> {
      if (is(49) && !records.has(name)) return;
      if (is(61)) {
        const deleted = records.get(name);
        if (deleted?.isDeleted) deleted.isDeleted = false;
      }
      if (is(96) && inFlight > 1) {
        find(name, call);
        return;
      }
      const record = find(name, call, !is(93));
      if (is(51) && record.isCancelRequested)
        throw rpcError("INTERNAL", "CRASHED", "cancelled twice");
      record.isCancelRequested = true;
      if (is(53)) {
        for (const other of records.values()) {
          if (other.parent === record.parent) end(other, cancelled(), "stopped");
        }
      }
      if (is(50) && record.result !== undefined) record.result = cancelled();
      if (record.result !== undefined) return;
      if (record.plan.ignoreCancel) {
        if (is(48)) await new Promise<void>((resolve) => record.waiters.add(resolve));
        return;
      }
      end(record, cancelled(), "stopped");
      if (is(47)) record.isHidden = true;
    },

    async delete(name: string, call: Call): Promise<void> {
      if (is(57) && !(records.get(name)?.isDeleted === false)) return;
      const record = find(name, call, !is(93));
      if (is(55)) return;
      if (is(58) && record.result === undefined) {
        record.isHidden = true;
        throw rpcError("FAILED_PRECONDITION", "RUNNING", "the operation runs");
      }
      record.isDeleted = true;
      if (is(59) && record.result === undefined) {
        record.work = "stopped";
        for (const timer of record.timers) clearTimeout(timer);
      }
      if (!is(60)) wake(record);
    },

    async wait(name: string, timeout: Duration | undefined, call: Call): Promise<Operation> {
      if (is(108)) throw rpcError("UNIMPLEMENTED", "NO_METHOD", "not implemented");
      if (is(70) && !records.has(name)) await sleep(60 * unitMs);
      const record = find(name, call, !is(91));
      if (is(65) && timeout === undefined) {
        throw rpcError("INVALID_ARGUMENT", "NO_TIMEOUT", "timeout is required");
      }
      if (is(66) && timeout !== undefined && timeout.seconds === maxDurationSeconds) {
        throw rpcError("INVALID_ARGUMENT", "BAD_TIMEOUT", "timeout overflows");
      }
      if (timeout !== undefined && msOf(timeout) < 0) {
        throw rpcError("INVALID_ARGUMENT", "BAD_TIMEOUT", "timeout is negative");
      }
      let limitMs = timeout === undefined ? 60 * unitMs : Math.min(msOf(timeout), 60 * unitMs);
      if (is(64)) {
        limitMs = Math.floor(limitMs / unitMs) * unitMs;
        if (limitMs === 0) limitMs = 60 * unitMs;
      }
      if (call.deadlineMs !== undefined && !is(67)) {
        limitMs = Math.min(limitMs, call.deadlineMs * 0.6);
      }
      if (is(73)) return read(record);
      const first = read(record);
      if (record.result !== undefined && !is(62)) return read(record);
      const isOver = await new Promise<boolean>((resolve) => {
        const done = (over: boolean) => {
          clearTimeout(timer);
          record.waiters.delete(onWake);
          call.signal.removeEventListener("abort", onAbort);
          resolve(over);
        };
        const onWake = () => {
          if (!is(69)) done(false);
        };
        const onAbort = () => {
          if (is(71)) end(record, cancelled(), "stopped");
          done(true);
        };
        const timer = setTimeout(() => {
          if (!(is(60) && record.isDeleted)) done(true);
        }, limitMs);
        record.waiters.add(onWake);
        call.signal.addEventListener("abort", onAbort, { once: true });
      });
      if (isOver && is(63)) throw rpcError("DEADLINE_EXCEEDED", "TIMEOUT", "the timeout is over");
      if (is(69) && !first.done) return first;
      return read(find(name, call, false));
    },

    probe(name: string): { work: ProbeResponse_Work; begun: bigint } {
      const work = records.get(name)?.work;
      const states = {
        running: ProbeResponse_Work.RUNNING,
        ended: ProbeResponse_Work.ENDED,
        stopped: ProbeResponse_Work.STOPPED,
      };
      return {
        work: work === undefined ? ProbeResponse_Work.UNSPECIFIED : states[work],
        begun: BigInt(begun),
      };
    },

    /** Keeps the records that survive a restart. */
    restart(): void {
      for (const [name, { result }] of records) {
        if ((is(97) && result !== undefined) || (is(98) && result === undefined))
          records.delete(name);
      }
    },

    /** Stops all timers. */
    close(): void {
      for (const { timers } of records.values()) for (const timer of timers) clearTimeout(timer);
    },
  };
  return model;
}

export type OperationsModel = ReturnType<typeof createModel>;

export function msOf({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1000 + nanos / 1e6;
}
