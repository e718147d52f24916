import type { HandlerContext } from "@connectrpc/connect";
import { parseOperationName } from "../operation/name.js";
import type { OperationRecord, OperationStore } from "../store/operation-store.js";
import { permissionDenied } from "./errors.js";

/** What a caller wants: to start an operation, or one of the five methods. */
export type OperationsAction = "start" | "get" | "list" | "wait" | "cancel" | "delete";

/** What of a stored operation a decision may hang on. */
export interface AuthorizedOperation {
  /** The method that started it, `package.Service/Method`. */
  readonly method: string;
  /** Who started it; empty where nobody was named. */
  readonly principal: string;
}

/** One call that asks for permission. */
export interface OperationsCall {
  readonly action: OperationsAction;
  /**
   * As the caller sent it, which may be no name at all: the operation's name; for
   * `list` and `start` the parent, empty where there is none.
   */
  readonly name: string;
  /** For `start` the method that is called, `package.Service/Method`; else undefined. */
  readonly method: string | undefined;
  /** The caller's headers, context values and signal. */
  readonly context: HandlerContext;
  /**
   * Look the operation up, for a decision that hangs on it. Undefined for one that does
   * not exist, and for `start` and `list`: decide then as for one of somebody else,
   * so that the answer does not show whether it exists (AIP-211).
   */
  operation(): Promise<AuthorizedOperation | undefined>;
}

/** What `authorize` decides. */
export type Authorization =
  | {
      readonly allow: true;
      /**
       * Who calls. It is stamped on the operations that the caller starts, and a request
       * id and a page token hold for it alone. Default: empty.
       */
      readonly principal?: string | undefined;
      /**
       * `own`: for this caller only operations with its own principal exist; all others
       * are NOT_FOUND, and in no list. Default: `all`.
       */
      readonly sees?: "own" | "all" | undefined;
    }
  | {
      readonly allow: false;
      /** The permission that was missing. Default: `longrunning.operations.{action}`. */
      readonly permission?: string | undefined;
    };

/**
 * Decides on each call, each page of a list too, before anything is validated or looked
 * up (AIP-211). A ConnectError that it throws, UNAUTHENTICATED for one, is what the
 * caller gets; anything else becomes INTERNAL.
 */
export type Authorize = (call: OperationsCall) => Authorization | Promise<Authorization>;

/** A caller that was allowed in. */
export interface Caller {
  readonly principal: string;
  /** The principal whose operations it sees; undefined: everybody's. */
  readonly visiblePrincipal: string | undefined;
}

/** The caller of a call that nobody has to allow. */
export const anyCaller: Caller = { principal: "", visiblePrincipal: undefined };

/** Asks the hook about a call. */
export type Authorizer = (
  call: Pick<OperationsCall, "action" | "name" | "method" | "context">,
) => Promise<Caller>;

/** @param authorize Undefined: everybody may do everything. */
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
