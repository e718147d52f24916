/** Operations whose work is over at once, by our server with its SQLite store. */
import { createServer } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { createSqliteStore } from "../../src/store/sqlite/index.js";
import { PrintService } from "../../test/gen/printing/v1/printing_pb.js";
import { runListening } from "../child-side.js";
import { Print } from "./print.js";
import { temporaryDatabase } from "./sqlite-file.js";

const operations = createOperations({
  store: await createSqliteStore({ path: temporaryDatabase() }),
});
const print = operations.handle(Print, ({ request: { pages } }) => ({ pages }));

const server = createServer({
  routes: (router) =>
    router.service(Operations, operations.service).service(PrintService, { print }),
});
const { port } = await server.listen();
runListening(port);
