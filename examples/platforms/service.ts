// The service that every platform here serves: one long-running method, the five methods of
// google.longrunning.Operations, and both over REST.
import { longRunning } from "connect-longrunning";
import { Operations } from "connect-longrunning/protos";
import { createRestHandler, operationsHttpRules } from "connect-longrunning/rest";
import { createOperations } from "connect-longrunning/server";
import { createWebHandler } from "connect-longrunning/web";
import {
  CountingService,
  CountMetadataSchema,
  CountResponseSchema,
} from "./gen/counting/v1/counting_pb.ts";

const Count = longRunning(CountingService.method.count, {
  response: CountResponseSchema,
  metadata: CountMetadataSchema,
});

const operations = createOperations();

export const web = createWebHandler({
  routes(router) {
    router.service(Operations, operations.service);
    router.service(CountingService, {
      count: operations.handle(Count, async ({ request, report, signal }) => {
        for (let counted = 1; counted <= request.limit; counted++) {
          signal.throwIfAborted();
          await new Promise((resolve) => setTimeout(resolve, 5));
          report({ counted });
        }
        return { counted: request.limit };
      }),
    });
  },
  handlers: (router) => [createRestHandler(router, { rules: operationsHttpRules() })],
});
