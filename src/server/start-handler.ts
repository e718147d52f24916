import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { fullName, type LongRunningMethod } from "../operation/long-running.js";
import { parseOperationName } from "../operation/name.js";
import type { Authorizer } from "./authorize.js";
import type { MethodOptions, StartContext } from "./method-options.js";
import type { OperationView } from "./operation-view.js";
import { stringFieldOf } from "./request-fields.js";
import type { StartInit } from "./start-operations.js";
import { storedResponse } from "./stored-result.js";

/** The options of a start that its handler decides; the method's policy decides the others. */
export type HandledStart = Pick<
  StartInit,
  "name" | "parent" | "principal" | "resource" | "tryNow" | "call"
> & { readonly preview: StartInit["preview"] | undefined };

/**
 * Makes the function behind a start RPC: it authorizes the call, then calls the functions of the
 * method's options, then starts the operation. If these functions choose another parent than the
 * request contains, the call is authorized for that parent, too.
 *
 * @param assertAccepting Throws if the server accepts no starts.
 */
export function createStartHandler<I extends DescMessage, R extends DescMessage, C>(
  method: LongRunningMethod<I, R>,
  options: MethodOptions<I, R, C>,
  deps: {
    readonly assertAccepting: () => void;
    readonly authorize: Authorizer;
    readonly start: (request: MessageShape<I>, init: HandledStart) => Promise<OperationView>;
  },
): (request: MessageShape<I>, context: HandlerContext) => Promise<OperationView> {
  const { validateOnly, tryNow } = options;
  const methodName = fullName(method.method);
  const { input } = method.method;
  const hasFunctions = Object.values(options).some((option) => typeof option === "function");

  return async (request, call) => {
    deps.assertAccepting();
    const sentParent = stringFieldOf(input, request, "parent") ?? "";
    const authorize = (parent: string) =>
      deps.authorize({ action: "start", name: parent, method: methodName, request, context: call });
    const { principal } = await authorize(sentParent);
    const init: HandledStart = {
      name: undefined,
      parent: sentParent,
      principal,
      resource: undefined,
      preview: undefined,
      tryNow: undefined,
      call,
    };
    if (!hasFunctions) return deps.start(request, init);
    const context = startContext(call, principal);
    const name = options.name?.(request, context);
    const parent = options.parent?.(request, context) ?? sentParent;
    // The operation will have this parent. If the name is invalid, a later check rejects it.
    const target = name === undefined ? parent : (parseOperationName(name)?.parent ?? name);
    if (target !== sentParent) await authorize(target);
    await options.validate?.(request, context);
    return deps.start(request, {
      ...init,
      name,
      parent,
      resource: options.resource?.(request, context),
      preview:
        validateOnly &&
        (async () => storedResponse(method.response, await validateOnly(request, context))),
      tryNow:
        tryNow &&
        (async () => {
          const response = await tryNow(request, context);
          return response === undefined ? undefined : storedResponse(method.response, response);
        }),
    });
  };
}

/**
 * Returns the call's context with the principal. The properties are copied as they are defined,
 * because the fast path computes the expensive ones only when they are read.
 */
function startContext(call: HandlerContext, principal: string): StartContext {
  return Object.create(Object.getPrototypeOf(call), {
    ...Object.getOwnPropertyDescriptors(call),
    principal: { value: principal, enumerable: true },
  });
}
