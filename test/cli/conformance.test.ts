import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createSecureServer } from "node:http2";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Validator } from "@cfworker/json-schema";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { describe, it, onTestFinished } from "vitest";
import { subjectShape } from "../../src/cli/conformance/subject-shape.js";
import { Operations } from "../../src/protos.js";
import { createCertificate } from "../support/certificate.js";
import { startServer } from "../support/servers.js";
import { createTemporaryFolder } from "../support/temporary-folder.js";
import { runCommand, startCommand } from "./support/command-in-process.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

describe("longrunning conformance --init", () => {
  it("writes a subject file by the published schema, and does not replace a file", async () => {
    const path = join(await createTemporaryFolder(), "subject.json");
    const written = await runCommand("conformance", path, "--init", "http://localhost:1234");
    assert.equal(written.exitCode, 0);
    const text = await readFile(path, "utf8");
    assert.match(text, /"grpc": "http:\/\/localhost:1234"/);
    const schema = JSON.parse(
      await readFile(`${root}/schema/conformance-subject.schema.json`, "utf8"),
    );
    assert.deepEqual(new Validator(schema, "2020-12").validate(JSON.parse(text)).errors, []);
    // Each commented member is valid once its comment marks are gone.
    const { needs, driver, descriptors, parents, headers, command } = JSON.parse(
      text.replaceAll('"//', '"'),
    );
    const all = { needs, driver, descriptors, parents, headers, command };
    const whole = { ...all, subject: "s", protocols: { grpc: "http://localhost:1234" } };
    assert.equal(subjectShape.check(whole, "the file"), undefined);
    const again = await runCommand("conformance", path, "--init");
    assert.equal(again.exitCode, 2);
    assert.equal(await readFile(path, "utf8"), text);
  });

  it("makes the first run against a server with GetOperation alone incomplete, with exit code 0", async () => {
    const server = await startServer({
      routes: (router) =>
        void router.service(Operations, {
          getOperation: ({ name }) => {
            throw new ConnectError(`no operation ${name}`, Code.NotFound);
          },
        }),
    });
    onTestFinished(() => server.close());
    const path = join(await createTemporaryFolder(), "subject.json");
    await runCommand("conformance", path, "--init", server.baseUrl);
    const { exitCode, stdout, stderr } = await runCommand("conformance", path);
    assert.equal(stderr, "");
    assert.match(stdout, /^incomplete: .* not exercised/);
    assert.match(stdout, /declare the need "succeeds"/);
    assert.equal(exitCode, 0);
  });
});

describe("longrunning conformance", () => {
  const subject = (members: object) =>
    JSON.stringify({ subject: "s", protocols: { grpc: "http://127.0.0.1:9" }, ...members });

  async function runWith(text: string, ...options: string[]) {
    const path = join(await createTemporaryFolder(), "subject.json");
    await writeFile(path, text);
    return runCommand("conformance", path, ...options);
  }

  it.each([
    ["text that is not JSON", "{", /not|JSON|Expected/],
    ["a missing member", '{"subject": "s"}', /must have the member "protocols"/],
    [
      "an unknown member",
      subject({ parent: ["a"] }),
      /unknown member "parent"; known are .*parents/,
    ],
    [
      "an unknown protocol",
      '{"subject": "s", "protocols": {"http": "http://a"}}',
      /protocols has the unknown member "http"/,
    ],
    [
      "an address that is not a URL",
      '{"subject": "s", "protocols": {"grpc": "localhost:1"}}',
      /protocols\.grpc must begin with http/,
    ],
    [
      "a need of no kind",
      subject({ needs: { succeeds: {} } }),
      /needs\.succeeds must have the member/,
    ],
    [
      "a code that google.rpc.Code has not",
      subject({ needs: { fails: { driver: true, error: { code: 17 } } } }),
      /needs\.fails\.error\.code must be a whole number, 1 to 16/,
    ],
    [
      "certificates for plaintext addresses",
      subject({ tls: { insecure: true } }),
      /tls is for https:\/\/ addresses/,
    ],
    [
      "a client's certificate without its key",
      subject({ protocols: { grpc: "https://127.0.0.1:9" }, tls: { cert: "cert.pem" } }),
      /tls\.cert and tls\.key go together/,
    ],
    [
      "a certificate that is not PEM",
      subject({ protocols: { grpc: "https://127.0.0.1:9" }, tls: { ca: "subject.json" } }),
      /tls: the certificates cannot be used/,
    ],
    [
      "a variable that is not set",
      subject({ headers: { a: { env: "NOT_SET_ANYWHERE" } } }),
      /NOT_SET_ANYWHERE is not set/,
    ],
  ])("refuses %s with exit code 2", async (_, text, problem) => {
    const { exitCode, stderr } = await runWith(text);
    assert.match(stderr, problem);
    assert.equal(exitCode, 2);
  });

  it("ends with exit code 6 if the subject does not answer", async () => {
    const { exitCode, stderr } = await runWith(subject({}));
    assert.match(stderr, /the subject does not answer: .*ECONNREFUSED/);
    assert.equal(exitCode, 6);
  });

  it("ends with exit code 6 and the output if the subject's process ends early", async () => {
    const program = "console.log('no license found'); process.exit(3)";
    const { exitCode, stderr } = await runWith(
      subject({ command: [process.execPath, "-e", program], ready: { line: "listening" } }),
    );
    assert.match(stderr, /did not start: it ended with the exit code 3\n {2}\| no license found/);
    assert.equal(exitCode, 6);
  });

  it("refuses a pattern that matches no case", async () => {
    const { exitCode, stderr } = await runWith(subject({}), "--case", "lists.*");
    assert.match(stderr, /no case matches "lists\.\*"/);
    assert.equal(exitCode, 2);
  });

  it("lists the cases without a subject", async () => {
    const { exitCode, stdout } = await runCommand("conformance", "nowhere.json", "--list");
    assert.match(stdout, /^list\.size +must +no page is larger/m);
    assert.equal(exitCode, 0);
  });

  it("starts a subject, runs cases over all protocols, and writes the reports", async () => {
    const folder = await createTemporaryFolder();
    await mkdir(folder, { recursive: true });
    const path = join(folder, "subject.json");
    const own = JSON.parse(
      await readFile(`${root}/conformance/references/connect-longrunning/subject.json`, "utf8"),
    );
    await writeFile(path, JSON.stringify({ ...own, cwd: root }));
    const json = join(folder, "report.json");
    const reports = `json=${json},junit=${join(folder, "report.xml")},terminal`;
    const command = startCommand([
      "conformance",
      path,
      ...[
        "--case",
        "get.*",
        "--case",
        "cancel.ends",
        "--report",
        reports,
        "--seed",
        "5",
        "--jobs",
        "8",
      ],
    ]);
    const { exitCode, stdout, stderr } = await command.ended;
    assert.equal(stderr, "");
    assert.match(stdout, /^held: 27 held/);
    assert.equal(exitCode, 0);
    const { cases, seed } = JSON.parse(await readFile(json, "utf8"));
    assert.deepEqual([cases.length, seed], [27, 5]);
    assert.match(await readFile(join(folder, "report.xml"), "utf8"), /get\.life/);
  }, 60_000);
});

describe("longrunning conformance over TLS", () => {
  /** Serves GetOperation alone. Asks for the client's certificate, which it compares with its own. */
  async function startTlsServer(options: { readonly requestCert: boolean }) {
    const folder = await createTemporaryFolder();
    const { cert, key } = await createCertificate();
    await writeFile(join(folder, "cert.pem"), cert);
    await writeFile(join(folder, "key.pem"), key);
    const handler = connectNodeAdapter({
      routes: (router) =>
        void router.service(Operations, {
          getOperation: ({ name }) => {
            throw new ConnectError(`no operation ${name}`, Code.NotFound);
          },
        }),
    });
    const tls = { cert, key, ca: cert, allowHTTP1: true, rejectUnauthorized: true };
    const server = createSecureServer({ ...tls, ...options }, handler);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const address = server.address();
    assert(typeof address === "object" && address !== null);
    const url = `https://127.0.0.1:${address.port}`;
    return async (tlsOptions: object | undefined) => {
      const path = join(folder, "subject.json");
      const protocols = { grpc: url, connect: url, "grpc-web": url };
      await writeFile(path, JSON.stringify({ subject: "s", protocols, tls: tlsOptions }));
      return runCommand("conformance", path, "--case", "get.*");
    };
  }

  it.each([
    ["the certificates of tls.ca", { ca: "cert.pem" }],
    ["any certificate with tls.insecure", { insecure: true }],
  ])("trusts %s", async (_, tls) => {
    const run = await startTlsServer({ requestCert: false });
    const refused = await run(undefined);
    assert.equal(refused.exitCode, 6);
    assert.match(refused.stderr, /self-signed certificate/);
    const { exitCode, stdout } = await run(tls);
    assert.match(stdout, /^incomplete: /);
    assert.equal(exitCode, 0);
  });

  it("shows the certificate of tls.cert and tls.key", async () => {
    const run = await startTlsServer({ requestCert: true });
    assert.equal((await run({ ca: "cert.pem" })).exitCode, 6);
    const { exitCode, stdout } = await run({ ca: "cert.pem", cert: "cert.pem", key: "key.pem" });
    assert.match(stdout, /^incomplete: /);
    assert.equal(exitCode, 0);
  });
});
