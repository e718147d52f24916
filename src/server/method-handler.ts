import type { Message } from "@bufbuild/protobuf";
import { ConnectError, type HandlerContext } from "@connectrpc/connect";
import { notifySafely } from "../internal/notify-safely.js";
import { registerEncodedHandler, type WireMessage } from "../internal/wire-message.js";
import { internalError } from "./errors.js";
import type { OperationsEvent } from "./events.js";
import type { OperationsObserver } from "./observer.js";

/** The log and the observer of responses. */
export interface ResponseEvents {
  readonly log: (event: OperationsEvent) => void;
  readonly observer: OperationsObserver | undefined;
}

/** The two forms that a response can have. */
export interface ResponseForms<Result, Output> {
  toMessage(result: Result): Output;
  /** Returns the encoded response, which the fast path sends as it is. */
  toWire(result: Result): WireMessage;
}

/**
 * Makes the implementation of a method from a function whose result can be a message or its encoded
 * bytes. Connect's handlers call the implementation and get the message. The fast path finds the
 * encoded form by the implementation (`internal/wire-message.ts`).
 */
export function createMethodHandler<Request extends Message, Result, Output>(
  action: string,
  call: (request: Request, context: HandlerContext) => Promise<Result>,
  { toMessage, toWire }: ResponseForms<Result, Output>,
  events: ResponseEvents,
): (request: Request, context: HandlerContext) => Promise<Output> {
  const implementation = withConnectErrors(
    action,
    (request: Request, context: HandlerContext) => call(request, context).then(toMessage),
    events,
  );
  registerEncodedHandler<Request>(implementation, {
    answer(request, context, reply) {
      call(request, context)
        .then((result) => {
          reply.send(toWire(result));
          observeResponse(action, events);
        })
        .catch((cause: unknown) => reply.fail(toClientError(action, cause, events)));
    },
  });
  return implementation;
}

/** Wraps a function so that it rejects with ConnectErrors only, by `toClientError`. */
export function withConnectErrors<Args extends unknown[], Result>(
  action: string,
  call: (...args: Args) => Result | Promise<Result>,
  events: ResponseEvents,
): (...args: Args) => Promise<Result> {
  const rethrow = (cause: unknown): never => {
    throw toClientError(action, cause, events);
  };
  const observed = (result: Result) => {
    observeResponse(action, events);
    return result;
  };
  const isObserved = events.observer?.answered !== undefined;
  // This function is not async, because an async frame would stay in memory for as long as a call
  // waits.
  return (...args) => {
    try {
      const called = Promise.resolve(call(...args));
      return (isObserved ? called.then(observed) : called).catch(rethrow);
    } catch (cause) {
      return Promise.reject(cause).catch(rethrow);
    }
  };
}

/**
 * Returns the error that a client gets: a ConnectError unchanged. The error of a driver, a parser
 * or a defect becomes INTERNAL with an ErrorInfo, and the log gets the cause.
 */
export function toClientError(
  action: string,
  cause: unknown,
  events: ResponseEvents,
): ConnectError {
  const error = cause instanceof ConnectError ? cause : internalError(cause);
  if (error !== cause) events.log({ kind: "store-failed", action, cause });
  observeResponse(action, events, error.code);
  return error;
}

/** Notifies the observer of a response. `code` is 0 for OK. */
export function observeResponse(rpc: string, { observer }: ResponseEvents, code = 0): void {
  if (observer?.answered !== undefined)
    notifySafely(observer, (to) => to.answered?.({ rpc, code }));
}
