import type { ConnectRouter } from "@connectrpc/connect";
import type { Handler } from "../web/handler.js";
import { createConsoleHandler } from "./console-handler.js";
import type { ConsoleOptions } from "./console-options.js";

/**
 * Creates a page that lists, follows, cancels and deletes the operations of a router. The page calls
 * the five methods of google.longrunning.Operations through this handler, so that the router's
 * interceptors and `authorize` decide about its calls as about those of any client. If a call
 * responds with UNAUTHENTICATED, the page asks for the value of an `Authorization` header and keeps it in
 * memory.
 *
 * The page has a strict Content-Security-Policy, sets no cookies, and loads nothing from other hosts.
 *
 * @param router The router with google.longrunning.Operations.
 * @throws RangeError if `path` is not an absolute path.
 * @throws TypeError if the router lacks google.longrunning.Operations.
 * @example
 * const server = createServer({
 *   routes: (router) => router.service(Operations, operations.service),
 *   handlers: (router) => [createConsole(router)],
 * });
 */
export function createConsole(
  router: Pick<ConnectRouter, "handlers">,
  options: ConsoleOptions = {},
): Handler {
  return createConsoleHandler(router, options);
}
