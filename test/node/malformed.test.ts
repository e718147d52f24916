import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, it } from "vitest";
import { createServer, type Server } from "../../src/node/index.js";
import { LibraryService } from "../gen/library/v1/library_pb.js";
import { envelopeBytes } from "../support/envelope-bytes.js";
import { openSession, rawCall } from "../support/raw-call.js";

const updateAll = `/${LibraryService.typeName}/UpdateAll`;
/** A field that is longer than the message, and a name that is not UTF-8. */
const binaries = [Buffer.from([10, 100, 1]), Buffer.from([10, 2, 0xff, 0xfe])];
const texts = ["{", '{"lent":"maybe"}', "[1]", "\ufffd"].map((text) => Buffer.from(text));
const ours = "the request is not a valid library.v1.Book";

describe.each([
  { by: "the fast path", fastPath: true },
  { by: "Connect's handlers", fastPath: false },
])("a message that cannot be parsed, by $by", ({ fastPath }) => {
  let server: Server;
  let url: string;
  let calls = 0;
  beforeAll(async () => {
    server = createServer({
      fastPath,
      compressMinBytes: 0,
      routes: (router) => {
        const answer = <T>(book: T) => {
          calls += 1;
          return book;
        };
        router.service(LibraryService, { updateAll: answer });
      },
    });
    ({ url } = await server.listen());
  });
  afterAll(() => server.close({ graceMs: 0 }));

  async function errorOf(contentType: string, body: Buffer, accepted: Record<string, string> = {}) {
    const session = await openSession(url);
    const answer = await rawCall(session, {
      headers: { ":method": "POST", ":path": updateAll, "content-type": contentType, ...accepted },
      chunks: [contentType.startsWith("application/grpc") ? envelopeBytes(body) : body],
    });
    session.destroy();
    const data = Buffer.from(answer.data, "hex");
    const isEnveloped = contentType.startsWith("application/grpc");
    const isCompressed = data.length > 0 && Object.keys(accepted).length > 0;
    const content = isEnveloped ? data.subarray(5) : data;
    const text = (isCompressed ? gunzipSync(content) : content).toString("latin1");
    const all = Object.fromEntries([...answer.headers, ...answer.trailers]);
    const status = all["grpc-status"] ?? /grpc-status: (\d+)/.exec(text)?.[1];
    if (status === undefined) return JSON.parse(text);
    const message = all["grpc-message"] ?? /grpc-message: ([^\r\n]*)/.exec(text)?.[1];
    return { code: Number(status), message: decodeURIComponent(String(message)) };
  }

  it.each([
    ["application/grpc", binaries],
    ["application/grpc+json", texts],
    ["application/grpc-web", binaries],
    ["application/grpc-web+json", texts],
    ["application/proto", binaries],
    ["application/json", texts],
  ])("is INVALID_ARGUMENT in this package's words over %s", async (contentType, bodies) => {
    for (const body of bodies) {
      const { code, message } = await errorOf(contentType, body);
      assert.ok(code === Code.InvalidArgument || code === "invalid_argument", String(code));
      assert.equal(message, ours);
    }
    assert.equal(calls, 0);
  });

  it.each([
    ["application/grpc-web", "grpc-accept-encoding", binaries],
    ["application/grpc-web+json", "grpc-accept-encoding", texts],
    ["application/proto", "accept-encoding", binaries],
    ["application/json", "accept-encoding", texts],
  ])("has the same error over %s in a compressed response", async (contentType, name, bodies) => {
    for (const body of bodies) {
      const { message } = await errorOf(contentType, body, { [name]: "gzip" });
      assert.equal(message, ours);
    }
  });

  it("leaves the error of a header that Connect refuses as it is", async () => {
    const session = await openSession(url);
    const answer = await rawCall(session, {
      headers: {
        ":method": "POST",
        ":path": updateAll,
        "content-type": "application/json",
        "connect-timeout-ms": "soon",
      },
      chunks: [Buffer.from("{}")],
    });
    session.destroy();
    assert.doesNotMatch(Buffer.from(answer.data, "hex").toString(), /not a valid/);
  });
});
