import { Agent, request as httpRequest } from "node:http";
import type { Caller } from "../child-side.js";

/** A request that is sent again and again, on connections that stay. */
export interface RepeatedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body?: string | undefined;
}

/** Sends one request by node:http, whose costs are the same for all servers. */
export function httpCaller(baseUrl: string, { body, ...options }: RepeatedRequest): Caller {
  const agent = new Agent({ keepAlive: true });
  const call = () =>
    new Promise<string>((resolve, reject) => {
      const request = httpRequest(baseUrl, { ...options, agent }, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
        });
        response.once("error", reject);
        response.once("end", () => {
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`HTTP ${response.statusCode}: ${text}`));
        });
      });
      request.once("error", reject);
      request.end(body);
    });
  return {
    call,
    // The order of members and the indentation are each server's own.
    answer: async () => new TextEncoder().encode(JSON.stringify(sorted(JSON.parse(await call())))),
  };
}

function sorted(json: unknown): unknown {
  if (typeof json !== "object" || json === null) return json;
  if (Array.isArray(json)) return json.map(sorted);
  const members = Object.entries(json).sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(members.map(([name, value]) => [name, sorted(value)]));
}
