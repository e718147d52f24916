import type { Health } from "../health/create-health.js";
import type { Handler } from "./handler.js";

/** The paths of the probes. */
export const probePaths = ["/livez", "/readyz"] as const;

/**
 * Makes the handler of the probes of orchestrators and load balancers: `/livez` is 200 while the
 * process responds, and `/readyz` is 200 while the server as a whole is SERVING, else 503.
 *
 * GET, HEAD and OPTIONS get the same status; HAProxy sends OPTIONS unless told otherwise.
 * `createServer` and `createWebHandler` have this handler already.
 *
 * @example
 * app.use(createNodeListener(createProbeHandler(health)));
 */
export function createProbeHandler(health: Pick<Health, "isServing">): Handler {
  return ({ path, method }) => {
    if (path !== "/livez" && path !== "/readyz") return undefined;
    const headers = { "content-type": "text/plain", "cache-control": "no-store" };
    if (method !== "GET" && method !== "HEAD" && method !== "OPTIONS") {
      const allow = "GET, HEAD, OPTIONS";
      return { status: 405, headers: { ...headers, allow }, body: "use GET\n" };
    }
    if (path === "/livez" || health.isServing) return { status: 200, headers, body: "ok\n" };
    return { status: 503, headers, body: "not ready\n" };
  };
}
