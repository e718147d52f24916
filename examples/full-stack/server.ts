import { setTimeout as pause } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { createServer } from "connect-longrunning/node";
import { Operations } from "connect-longrunning/protos";
import { createOperations } from "connect-longrunning/server";
import { CountingService } from "../platforms/gen/counting/v1/counting_pb.ts";
import { Count } from "./count.ts";

/** Makes the server: it counts one number every 100 ms. */
export function createCountingServer() {
  const operations = createOperations();
  return createServer({
    operations,
    routes(router) {
      router.service(Operations, operations.service);
      router.service(CountingService, {
        count: operations.handle(Count, async ({ request, report, signal }) => {
          for (let counted = 1; counted <= request.limit; counted++) {
            await pause(100, undefined, { signal });
            report({ counted });
          }
          return { counted: request.limit };
        }),
      });
    },
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const server = createCountingServer();
  const { url } = await server.listen({ host: "127.0.0.1", port: 8080 });
  console.log(`listening on ${url}`);
  process.once("SIGINT", () => server.close());
}
