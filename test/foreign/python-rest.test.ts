import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, it } from "vitest";
import { Operations } from "../../src/protos.js";
import { operationsHttpRules } from "../../src/rest/index.js";
import { createOperations } from "../../src/server/index.js";
import { PrintService } from "../gen/printing/v1/printing_pb.js";
import { startRestServer } from "../rest/support/rest-server.js";
import { Print } from "../support/print-server.js";
import { isInstalled } from "./is-installed.js";

const script = fileURLToPath(new URL("python_rest.py", import.meta.url));

/** A Python that has google-api-python-client: Debian's is not always the first one. */
const python = ["python3", "/usr/bin/python3"].find((command) => {
  try {
    execFileSync(command, ["-c", "import googleapiclient, httplib2"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
});
const remedy = "no google-api-python-client; on Debian: apt-get install python3-googleapi";

describe.runIf(isInstalled(python, remedy))("google-api-python-client", () => {
  it("server 83: is built from the discovery document, and all of its methods work", async () => {
    const parent = "projects/p/locations/l";
    const operations = createOperations();
    operations.handle(Print, async () => ({ pages: 0 }));
    const server = await startRestServer(
      (router) => {
        router.service(Operations, operations.service);
        router.service(PrintService, {});
      },
      { rules: operationsHttpRules({ version: "v1alpha", parent: "projects/*/locations/*" }) },
    );
    const names: string[] = [];
    for (let at = 0; at < 5; at += 1) {
      names.push((await operations.create(Print, { parent })).name);
    }
    const [name = "", last = ""] = names;
    await operations.succeed(Print, last, { pages: 7 });
    await operations.report(Print, name, { pagesPrinted: 3 });

    const asked = { baseUrl: server.baseUrl, version: "v1alpha", parent, name };
    const run = promisify(execFile);
    const { stdout } = await run(python ?? "", [script, JSON.stringify(asked)]);
    const seen = JSON.parse(stdout);
    await server.close();
    await operations.shutdown({ graceMs: 1000 });

    const methods = ["cancel", "delete", "get", "list", "list_next", "wait"];
    // Newer versions add `close`.
    assert.deepEqual(
      seen.methods.filter((method: string) => method !== "close"),
      methods,
    );
    const metadata = { "@type": "type.googleapis.com/printing.v1.PrintMetadata", pagesPrinted: 3 };
    assert.deepEqual(seen.get, { name, metadata });
    assert.deepEqual(
      seen.pages.map((page: string[]) => page.length),
      [2, 2, 1],
    );
    assert.deepEqual(seen.pages.flat().sort(), names.sort());
    const response = { "@type": "type.googleapis.com/printing.v1.PrintResponse", pages: 7 };
    assert.deepEqual(seen.filtered, { operations: [{ name: last, done: true, response }] });
    assert.deepEqual(seen.long, seen.filtered);
    const { missing, long, ...found } = seen.batch;
    assert.equal(missing, 404);
    assert.deepEqual(long, seen.filtered);
    assert.equal(Object.keys(found).length, 48);
    for (const operation of Object.values(found)) assert.deepEqual(operation, seen.get);
    assert.deepEqual(seen.cancel, {});
    assert.deepEqual(seen.delete, {});
    const message = `operation "${name}" does not exist`;
    for (const gone of [seen.gone, seen.gone1, seen.gone2]) {
      assert.equal(gone.status, 404);
      assert.equal(gone.reason, message);
      assert.equal(gone.body.error.status, "NOT_FOUND");
      assert.equal(gone.body.error.code, 404);
    }
    const errors = [{ message, domain: "global", reason: "notFound" }];
    assert.deepEqual(seen.gone1.body.error.errors, errors);
    assert.equal(seen.gone2.body.error.errors, undefined);
    assert.equal(seen.gone.body.error.errors, undefined);
  }, 60_000);
});
