/** Start and wait by handlers that keep no state: the cost of any service. */
import { pack } from "../../src/index.js";
import { createServer } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { PrintResponseSchema, PrintService } from "../../test/gen/printing/v1/printing_pb.js";
import { runListening } from "../child-side.js";

const server = createServer({
  routes: (router) =>
    router
      .service(PrintService, {
        print: ({ parent }) => ({ name: `${parent}/operations/${crypto.randomUUID()}` }),
      })
      .service(Operations, {
        waitOperation: ({ name }) => ({
          name,
          done: true,
          result: { case: "response", value: pack(PrintResponseSchema, { pages: 2 }) },
        }),
      }),
});
const { port } = await server.listen();
runListening(port);
