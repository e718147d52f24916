/** The same two calls by handlers that keep nothing: what any service costs. */
import { createServer } from "node:http2";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { pack } from "../../src/index.js";
import { Operations } from "../../src/protos.js";
import { PrintResponseSchema, PrintService } from "../../test/gen/printing/v1/printing_pb.js";
import { runServer } from "../child-side.js";

await runServer(
  createServer(
    connectNodeAdapter({
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
    }),
  ),
);
