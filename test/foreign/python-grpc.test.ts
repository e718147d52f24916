import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, it, onTestFinished } from "vitest";
import { Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { protoSetOf } from "../cli/support/proto-set.js";
import { PrintService } from "../gen/printing/v1/printing_pb.js";
import { Print } from "../support/print-server.js";
import { startServer } from "../support/servers.js";
import { isInstalled } from "./is-installed.js";

const script = fileURLToPath(new URL("python_grpc.py", import.meta.url));

/** A Python that has grpcio: Debian's is not always the first one. */
const python = ["python3", "/usr/bin/python3"].find((command) => {
  try {
    execFileSync(command, ["-c", "import grpc, google.protobuf"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
});
const remedy = "no grpcio; on Debian: apt-get install python3-grpcio python3-protobuf";

describe.runIf(isInstalled(python, remedy))("Python's grpcio", () => {
  it("calls all five methods over plaintext HTTP/2, and meets our errors as gRPC's", async () => {
    const parent = "shops/one";
    const operations = createOperations();
    const server = await startServer({
      routes: (router) => void router.service(Operations, operations.service),
      operations,
    });
    onTestFinished(() => server.close());
    const names: string[] = [];
    for (let at = 0; at < 5; at += 1) {
      names.push((await operations.create(Print, {}, { parent })).name);
    }
    const [oldest = "", , , , name = ""] = names;
    await operations.report(Print, name, { pagesPrinted: 3 });
    await operations.succeed(Print, oldest, { pages: 7 });

    const descriptors = protoSetOf(Operations.file, PrintService.file);
    const asked = {
      target: `127.0.0.1:${server.port}`,
      descriptors: Buffer.from(descriptors).toString("base64"),
      parent,
      name,
    };
    const { stdout } = await promisify(execFile)(python ?? "", [script, JSON.stringify(asked)]);
    const seen = JSON.parse(stdout);
    const typeUrl = "type.googleapis.com/printing.v1.";
    const metadata = { "@type": `${typeUrl}PrintMetadata`, pagesPrinted: 3 };
    assert.deepEqual(seen.get, { name, metadata });
    assert.deepEqual(
      seen.pages.map((page: string[]) => page.length),
      [2, 2, 1],
    );
    assert.deepEqual(seen.pages.flat(), [...names].reverse());
    const response = { "@type": `${typeUrl}PrintResponse`, pages: 7 };
    assert.deepEqual(seen.wait, { name: oldest, done: true, response });
    assert.deepEqual([seen.cancel, seen.delete], [{}, {}]);
    const message = `operation "${name}" does not exist`;
    assert.deepEqual(seen.gone, { code: "NOT_FOUND", message, hasDetails: true });
  }, 60_000);
});
