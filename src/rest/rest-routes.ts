import type { UniversalHandler } from "../direct/connect-protocol.js";
import {
  type HttpBinding,
  type HttpRuleOptions,
  httpBindingsOf,
  selectorOf,
} from "./http-rules.js";
import { type RestMethod, restMethodOf } from "./rest-call.js";
import { createRouteTable, type RouteTable } from "./route-table.js";

/** A binding with the handler that its calls go to. */
export interface RestRoute {
  readonly binding: HttpBinding;
  readonly handler: UniversalHandler;
  /** The method for calls without the handler; undefined if only the handler can call it. */
  readonly direct: RestMethod | undefined;
}

/** The bindings of a router's methods. */
export interface RestRoutes {
  /** In the order of the methods, the main binding of each first. */
  readonly all: readonly RestRoute[];
  readonly table: RouteTable<RestRoute>;
}

/**
 * Finds the HTTP bindings of the methods that a Connect router serves.
 *
 * @throws RangeError for a rule that cannot be, one that selects no method of the router or one
 *   that streams, two rules for the same paths, and a bound method without Connect's protocol.
 */
export function restRoutesOf(
  handlers: readonly UniversalHandler[],
  options: HttpRuleOptions,
): RestRoutes {
  assertSelecting(handlers, options);
  const table = createRouteTable<RestRoute>();
  const all: RestRoute[] = [];
  for (const handler of handlers) {
    const direct = restMethodOf(handler);
    for (const binding of httpBindingsOf(handler.method, options)) {
      if (!handler.protocolNames.includes("connect")) {
        throw new RangeError(
          `${selectorOf(handler.method)} has an HTTP rule, which needs the Connect protocol: do not disable it`,
        );
      }
      const route = { binding, handler, direct };
      all.push(route);
      table.add(binding.httpMethod, binding.template, route);
    }
  }
  return { all, table };
}

function assertSelecting(
  handlers: readonly UniversalHandler[],
  { rules = [], prefixes = {} }: HttpRuleOptions,
): void {
  const selectors = new Map(handlers.map(({ method }) => [selectorOf(method), method]));
  for (const { selector = "" } of rules) {
    const method = selectors.get(selector);
    if (method === undefined) {
      throw new RangeError(`an HTTP rule selects "${selector}", which the router does not serve`);
    }
    if (method.methodKind !== "unary") {
      throw new RangeError(`an HTTP rule selects "${selector}", which is a stream`);
    }
  }
  for (const service of Object.keys(prefixes)) {
    if (!handlers.some(({ method }) => method.parent.typeName === service)) {
      throw new RangeError(`a prefix is for "${service}", which the router does not serve`);
    }
  }
}
