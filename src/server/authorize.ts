import type { Message } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { parseOperationName } from "../operation/name.js";
import type { OperationRecord, OperationStore } from "../store/operation-store.js";
import { permissionDenied } from "./errors.js";

/** The action that a call needs permission for: starting an operation, or one of the five methods. */
export type OperationsAction = "start" | "get" | "list" | "wait" | "cancel" | "delete";

/** The properties of a stored operation that a decision can depend on. */
export interface AuthorizedOperation {
  /** The method that started it, `package.Service/Method`. */
  readonly method: string;
  /** The principal that started it. Empty if it was started without one. */
  readonly principal: string;
}

/** One call that needs permission. */
export interface OperationsCall {
  readonly action: OperationsAction;
  /**
   * The operation's name; for `list` and `start` the parent, which may be empty. It is the
   * text that the caller sent, not validated.
   *
   * For `start` it is the request's string field `parent`, or empty. If the method's
   * options `parent` or `name` choose another parent, `authorize` is called again with that one.
   */
  readonly name: string;
  /** For `start` the called method, `package.Service/Method`; otherwise undefined. */
  readonly method: string | undefined;
  /** For `start` the request, not validated; otherwise undefined. */
  readonly request: Message | undefined;
  /** The caller's headers, context values and signal. */
  readonly context: HandlerContext;
  /**
   * Reads the operation from the store, for a decision that depends on it. Resolves with undefined
   * if it does not exist, and for `start` and `list`. Decide about a missing operation as about
   * another caller's, so that the response does not reveal whether it exists (AIP-211).
   */
  operation(): Promise<AuthorizedOperation | undefined>;
}

/** The decision of `authorize`. It allows or denies the call. */
export type Authorization =
  | {
      readonly allow: true;
      /**
       * The caller. It is stored with the operations that the caller starts. A request id and a
       * page token are valid for one principal only. Default: empty.
       */
      readonly principal?: string | undefined;
      /**
       * `own`: for this caller only operations with its own principal exist. All others are
       * NOT_FOUND, and in no list. With an empty principal these are the operations of all callers
       * without a principal, which no index leads to: each page of a list walks up to 10,000 operations of any
       * caller. Default: `all`.
       */
      readonly sees?: "own" | "all" | undefined;
    }
  | {
      readonly allow: false;
      /** The missing permission. Default: `longrunning.operations.{action}`. */
      readonly permission?: string | undefined;
    };

/**
 * Called to decide on one call. It is called once for each call, including each page of a list,
 * before anything is validated or looked up and before any function of `MethodOptions` (AIP-211).
 * Called a second time only for a start whose method chooses another parent than the request
 * contains.
 *
 * If it throws a ConnectError, for example UNAUTHENTICATED, the caller gets that error; any other
 * exception becomes INTERNAL.
 */
export type Authorize = (call: OperationsCall) => Authorization | Promise<Authorization>;

/** An authorized caller. */
export interface Caller {
  readonly principal: string;
  /** The principal whose operations the caller sees; undefined: all operations. */
  readonly visiblePrincipal: string | undefined;
}

/** The caller of every call of a server without an `authorize` hook. */
export const anyCaller: Caller = { principal: "", visiblePrincipal: undefined };

/** Calls the hook. Rejects with PERMISSION_DENIED if it does not allow the call. */
export type Authorizer = (call: Omit<OperationsCall, "operation">) => Promise<Caller>;

/** @param authorize The hook. If undefined, every caller may do everything. */
export function createAuthorizer(
  store: OperationStore,
  authorize: Authorize | undefined,
): Authorizer {
  if (authorize === undefined) return async () => anyCaller;
  return async (call) => {
    const { action, name } = call;
    const decision = await authorize({
      ...call,
      async operation() {
        if (action === "start" || action === "list") return undefined;
        if (parseOperationName(name) === undefined) return undefined;
        const record = await store.get(name);
        return record && { method: record.method, principal: record.principal };
      },
    });
    if (!decision.allow) {
      throw permissionDenied(decision.permission ?? `longrunning.operations.${action}`, name);
    }
    const { principal = "", sees = "all" } = decision;
    return { principal, visiblePrincipal: sees === "own" ? principal : undefined };
  };
}

/** Whether an operation exists for a caller. */
export function isVisibleTo({ visiblePrincipal }: Caller, record: OperationRecord): boolean {
  return visiblePrincipal === undefined || record.principal === visiblePrincipal;
}
