/** Operations whose work is over at once, by our server with its SQLite store. */
import { createServer } from "node:http2";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { createSqliteStore } from "../../src/store/sqlite/index.js";
import { PrintService } from "../../test/gen/printing/v1/printing_pb.js";
import { runServer } from "../child-side.js";
import { Print } from "./print.js";
import { temporaryDatabase } from "./sqlite-file.js";

const operations = createOperations({
  store: await createSqliteStore({ path: temporaryDatabase() }),
});
const print = operations.handle(Print, ({ request: { pages } }) => ({ pages }));

await runServer(
  createServer(
    connectNodeAdapter({
      routes: (router) =>
        router.service(Operations, operations.service).service(PrintService, { print }),
    }),
  ),
);
