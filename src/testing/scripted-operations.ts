import { create, type DescMessage, type Message, type MessageShape } from "@bufbuild/protobuf";
import { durationMs, EmptySchema } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createRouterTransport,
  type HandlerContext,
  type ServiceImpl,
  type Transport,
} from "@connectrpc/connect";
import { type Clock, systemClock } from "../internal/clock.js";
import { fullName, type LongRunningMethod } from "../operation/long-running.js";
import { parseListName, parseOperationName } from "../operation/name.js";
import { ListOperationsResponseSchema, type Operation, Operations } from "../protos.js";
import { invalidField, operationNotFound } from "../server/errors.js";
import type { StartHandler } from "../server/operations-server.js";
import {
  type CheckedScript,
  checkedScript,
  type OperationScript,
  type ScriptedFailure,
  type StartScript,
  scriptedError,
} from "./operation-script.js";
import { beginOperation, hang, type ScriptedOperation } from "./scripted-operation.js";

/** The longest time that one WaitOperation call is held, in milliseconds. */
const maxWaitMs = 25_000;

const defaultPageSize = 50;
const maxPageSize = 1000;

/** The methods of google.longrunning.Operations, by their names in the .proto. */
export type OperationsMethodName = Capitalize<keyof (typeof Operations)["method"]>;

/** Options of `createScriptedOperations`. */
export interface ScriptedOperationsOptions {
  /** The clock for the times of the scripts. Default: the machine's clock. */
  clock?: Clock | undefined;
  /**
   * Methods that the server does not have, such as `["WaitOperation"]`. They fail with
   * UNIMPLEMENTED, without message and details, like on some real servers. Default: none.
   */
  without?: readonly OperationsMethodName[] | undefined;
}

/** A call to a scripted server. */
export interface ScriptedCall {
  /** The method's name in the .proto, of Operations or of a start. */
  readonly method: string;
  /** The operation's name, for a start after its response; for a list, the parent. */
  readonly name: string;
  readonly request: Message;
  readonly header: Headers;
  /** The time of its arrival by the server's clock, in milliseconds since the Unix epoch. */
  readonly atMs: number;
  /** The state of the call; `given-up` if the client aborted it or its deadline passed. */
  readonly state: "open" | "answered" | "failed" | "given-up";
}

/** A server of operations that follows scripts, for tests of clients. */
export interface ScriptedOperations {
  /** The five methods: `router.service(Operations, scripted.service)`. */
  readonly service: ServiceImpl<typeof Operations>;
  /** Calls the five methods and the methods of `handle`, in this process. */
  readonly transport: Transport;
  /** All calls so far, in the order of their arrival. */
  readonly calls: readonly ScriptedCall[];
  /** Returns the number of calls of a method so far, of one operation or of all. */
  count(method: string, name?: string): number;
  /**
   * Serves a long-running method. `script` is one script for all starts, a list with one for each
   * start (the last one repeats), or a function. `transport` calls the method at once; the returned
   * handler is for a router of your own. A second call replaces the scripts.
   *
   * @throws RangeError for a number out of its bounds, TypeError for a payload of another type
   *   than the method's, both with the field. The script of a function is checked at the start.
   */
  handle<I extends DescMessage, R extends DescMessage, M extends DescMessage>(
    method: LongRunningMethod<I, R, M>,
    script:
      | OperationScript<R, M>
      | readonly [StartScript<R, M>, ...StartScript<R, M>[]]
      | ((request: MessageShape<I>) => StartScript<R, M>),
  ): StartHandler<I>;
  /**
   * Adds an operation without a start, which a client can resume by its name, and returns its first
   * state.
   *
   * @throws RangeError or TypeError for a wrong script, like `handle`.
   */
  add<R extends DescMessage, M extends DescMessage>(
    method: LongRunningMethod<DescMessage, R, M>,
    script?: OperationScript<R, M>,
  ): Operation;
}

/**
 * Makes a scripted server: its responses, failures, delays and losses follow the scripts of its
 * operations, and it records its calls. It runs no work and has no store; `createTestOperations`
 * makes a real server for tests. Its lists take no filter.
 *
 * @example
 * const clock = createManualClock();
 * const scripted = createScriptedOperations({ clock });
 * scripted.handle(Print, { states: [{}, { afterMs: 60_000, response: { pages: 2 } }] });
 * const printer = createLongRunningClient({ print: Print }, scripted.transport, { clock });
 * const result = (await printer.print({ pages: 2 })).result();
 * await clock.advance(60_000);
 */
export function createScriptedOperations(
  options: ScriptedOperationsOptions = {},
): ScriptedOperations {
  const clock = options.clock ?? systemClock;
  const without = new Set<string>(options.without);
  const operations = new Map<string, ScriptedOperation>();
  const calls: Recorded<ScriptedCall>[] = [];
  const routes = new Map<string, (router: ConnectRouter) => void>();
  let begun = 0;
  let current: Transport | undefined;

  const begin = (script: CheckedScript): ScriptedOperation => {
    begun += 1;
    const name = script.name ?? `operations/${begun}`;
    const operation = beginOperation(name, script, clock);
    // The old entry is deleted, so that the operation becomes the latest one of a list.
    operations.delete(name);
    operations.set(name, operation);
    return operation;
  };
  const find = (name: string): ScriptedOperation => {
    if (parseOperationName(name) === undefined) {
      throw invalidField("name", name, 'must have the form "{parent/}operations/{id}"');
    }
    const operation = operations.get(name);
    if (operation === undefined) throw operationNotFound(name);
    return operation;
  };

  /** Records a call and its result. */
  const recorded = async <T>(
    method: string,
    name: string,
    request: Message,
    { requestHeader: header, signal }: HandlerContext,
    answer: (call: Recorded<ScriptedCall>) => T | Promise<T>,
  ): Promise<T> => {
    const atMs = clock.nowMs();
    const call: Recorded<ScriptedCall> = { method, name, request, header, atMs, state: "open" };
    calls.push(call);
    try {
      if (without.has(method)) throw new ConnectError("", Code.Unimplemented);
      const answered = await answer(call);
      call.state = "answered";
      return answered;
    } catch (error) {
      call.state = signal.aborted ? "given-up" : "failed";
      throw error;
    }
  };

  const service: ServiceImpl<typeof Operations> = {
    getOperation: (request, context) =>
      recorded("GetOperation", request.name, request, context, () =>
        find(request.name).get(context.signal),
      ),
    waitOperation: (request, context) =>
      recorded("WaitOperation", request.name, request, context, () => {
        const wantedMs = request.timeout === undefined ? maxWaitMs : durationMs(request.timeout);
        return find(request.name).wait(Math.min(wantedMs, maxWaitMs), context.signal);
      }),
    cancelOperation: (request, context) =>
      recorded("CancelOperation", request.name, request, context, async () => {
        await find(request.name).cancel(context.signal);
        return create(EmptySchema);
      }),
    deleteOperation: (request, context) =>
      recorded("DeleteOperation", request.name, request, context, () => {
        find(request.name).delete();
        return create(EmptySchema);
      }),
    listOperations: (request, context) =>
      recorded("ListOperations", request.name, request, context, () => {
        if (request.filter !== "") {
          throw invalidField(
            "filter",
            request.filter,
            "must be empty, because scripted servers have no filters",
          );
        }
        if (request.pageSize < 0) {
          throw invalidField("page_size", String(request.pageSize), "must not be negative");
        }
        const parent = parseListName(request.name);
        const ofParent = [...operations.values()]
          .filter(({ name }) => parseOperationName(name)?.parent === parent)
          .reverse();
        const start = Number(request.pageToken || 0);
        if (!Number.isInteger(start) || start < 0) {
          throw invalidField("page_token", request.pageToken, "must be one of this list");
        }
        const end = start + Math.min(request.pageSize || defaultPageSize, maxPageSize);
        return create(ListOperationsResponseSchema, {
          operations: ofParent.slice(start, end).flatMap((operation) => operation.listed() ?? []),
          nextPageToken: end < ofParent.length ? String(end) : "",
        });
      }),
  };

  const serve = <I extends DescMessage>(
    method: LongRunningMethod<I>["method"],
    next: (request: MessageShape<I>) => CheckedScript | ScriptedFailure | "hang",
  ): StartHandler<I> => {
    const start: StartHandler<I> = (request, context) =>
      recorded(method.name, "", request, context, (call) => {
        const script = next(request);
        if (script === "hang") return hang(context.signal);
        if ("fails" in script) throw scriptedError(script.fails);
        const operation = begin(script);
        call.name = operation.name;
        return operation.start();
      });
    routes.set(fullName(method), (router) => router.rpc(method, start));
    current = undefined;
    return start;
  };

  // The router is made again when a method is added, because a router does not change.
  const transport = () => {
    current ??= createRouterTransport((router) => {
      router.service(Operations, service);
      for (const route of routes.values()) route(router);
    });
    return current;
  };

  return {
    service,
    transport: {
      unary: (method, signal, timeoutMs, header, input, contextValues) =>
        transport().unary(method, signal, timeoutMs, header, input, contextValues),
      stream: (method, signal, timeoutMs, header, input, contextValues) =>
        transport().stream(method, signal, timeoutMs, header, input, contextValues),
    },
    calls,
    count: (method, name) =>
      calls.filter((call) => call.method === method && (name === undefined || call.name === name))
        .length,
    handle(method, script) {
      if (typeof script === "function") {
        return serve(method.method, (request) => checkedStart(method, script(request)));
      }
      const scripts = isList(script) ? script : [script];
      const [first, ...rest] = scripts.map((one) => checkedStart(method, one));
      if (first === undefined)
        throw new RangeError("script must be a list of at least 1, not of 0");
      let next = first;
      return serve(method.method, () => {
        const present = next;
        next = rest.shift() ?? present;
        return present;
      });
    },
    add: (method, script = {}) => begin(checkedScript(method, script)).start(),
  };
}

/** The writable form of a record, while its call runs. */
type Recorded<T> = { -readonly [Field in keyof T]: T[Field] };

function checkedStart<R extends DescMessage, M extends DescMessage>(
  method: LongRunningMethod<DescMessage, R, M>,
  script: StartScript<R, M>,
): CheckedScript | ScriptedFailure | "hang" {
  return script === "hang" || "fails" in script ? script : checkedScript(method, script);
}

/** Array.isArray does not narrow a readonly list. */
function isList<T>(value: object | readonly T[]): value is readonly T[] {
  return Array.isArray(value);
}
