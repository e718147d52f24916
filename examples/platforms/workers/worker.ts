// Cloudflare Workers. A Worker keeps nothing between requests, so the operations and their work are
// in a Durable Object: one place that all requests reach, and that lives while it has work to do.
import { web } from "../service.ts";

interface Environment {
  readonly OPERATIONS: {
    getByName(name: string): { fetch(request: Request): Promise<Response> };
  };
}

export class OperationsObject {
  fetch(request: Request): Promise<Response> {
    return web.fetch(request);
  }
}

export default {
  fetch: (request: Request, { OPERATIONS }: Environment): Promise<Response> =>
    OPERATIONS.getByName("all").fetch(request),
};
