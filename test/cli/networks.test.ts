import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { splitWords } from "../../src/cli/header-command.js";
import { type ArchiveServer, Compress, startArchiveServer } from "./support/archive-server.js";
import { runCommand, startCommand } from "./support/command-in-process.js";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "connect-longrunning-cli-"));
});
afterAll(() => rm(directory, { recursive: true }));

/** A server whose answers an interceptor decides. */
async function withServer(
  decide: (authorization: string | null) => void,
  use: (server: ArchiveServer) => Promise<void>,
) {
  const server = await startArchiveServer({
    interceptors: [
      (next) => (request) => {
        decide(request.header.get("Authorization"));
        return next(request);
      },
    ],
  });
  try {
    await use(server);
  } finally {
    await server.close();
  }
}

describe("--header-command", () => {
  /** A program that prints what a file holds, and the command that runs it. */
  const commandOf = async (file: string) => {
    const script = join(directory, "print token.mjs");
    await writeFile(
      script,
      'import { readFileSync } from "node:fs";\nprocess.stdout.write(readFileSync(process.argv[2], "utf8"));\n',
    );
    return `${process.execPath} '${script}' ${file}`;
  };

  it.each(["grpc", "rest"])(
    "renews credentials that expire during a wait over %s",
    async (protocol) => {
      const file = join(directory, `token-${protocol}`);
      const command = await commandOf(file);
      let valid = "Bearer one";
      const seen = new Set<string | null>();
      const check = (authorization: string | null) => {
        seen.add(authorization);
        if (authorization !== valid) throw new ConnectError("expired", Code.Unauthenticated);
      };
      await withServer(check, async (server) => {
        const name = await server.create(1);
        await writeFile(file, `Authorization: ${valid}\nX-Other: 1\n`);
        const wait = startCommand([
          ...["wait", name, "--server", server.url, "--protocol", protocol],
          ...["--header-command", command],
        ]);
        await wait.wrote("stderr", /./);
        valid = "Bearer two";
        await writeFile(file, `Authorization: ${valid}\n`);
        await server.operations.report(Compress, name, { filesDone: 3, filesTotal: 4 });
        await server.operations.succeed(Compress, name, {});
        expect((await wait.ended).exitCode).toBe(0);
        await writeFile(file, "Authorization: Bearer three\n");
        const refused = await runCommand(
          "get",
          name,
          "--server",
          server.url,
          "--header-command",
          command,
        );
        expect([refused.exitCode, refused.stderr]).toEqual([
          7,
          expect.stringContaining("UNAUTHENTICATED"),
        ]);
      });
      expect(seen).toContain("Bearer one");
    },
  );

  it.each([
    ["cannot be run", "/nowhere/program", "it cannot be run (ENOENT)"],
    ["fails", `${process.execPath} -e process.exit(3)`, "it exited with 3"],
    [
      "prints something else",
      `${process.execPath} -e "console.log('secret')"`,
      "it printed a line that is not `name: value`",
    ],
    ["prints nothing", `${process.execPath} -e 0`, "it printed a line that is not `name: value`"],
  ])("is a usage error if the program %s", async (_, command, why) => {
    const ended = await runCommand(
      "get",
      "operations/1",
      "--server",
      "http://127.0.0.1:1",
      "--header-command",
      command,
    );
    expect(ended.exitCode).toBe(2);
    expect(ended.stderr).toContain(why);
    expect(ended.stderr).not.toContain("secret");
  });

  it.each([
    ["a b  c", ["a", "b", "c"]],
    [`a 'b c' "d  e"`, ["a", "b c", "d  e"]],
    [`a="b c"d $HOME;x|y`, ["a=b cd", "$HOME;x|y"]],
    ["  ", []],
  ])("splits %s into %j without a shell", (line, words) => {
    expect(splitWords(line)).toEqual(words);
  });
});

describe("longrunning wait", () => {
  it("tolerates UNAVAILABLE at its first poll", async () => {
    let failures = 2;
    const check = () => {
      failures -= 1;
      if (failures >= 0) throw new ConnectError("starting", Code.Unavailable);
    };
    await withServer(check, async (server) => {
      const name = await server.create(1);
      await server.operations.succeed(Compress, name, {});
      const { exitCode } = await runCommand("wait", name, "--server", server.url);
      expect(exitCode).toBe(0);
    });
  });

  it.each(["grpc", "grpc-web", "connect", "rest"])(
    "says over %s that an https address is a plaintext port",
    async (protocol) => {
      const server = createHttpServer((_, response) => response.end());
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as AddressInfo;
      const address = ["--server", `https://127.0.0.1:${port}`, "--protocol", protocol];
      const ended = await runCommand("wait", "operations/1", ...address);
      server.close();
      server.closeAllConnections();
      expect([ended.exitCode, ended.stderr]).toEqual([
        6,
        expect.stringContaining("begin its address with http://"),
      ]);
    },
  );

  it("names LONGRUNNING_SERVER if no server is given", async () => {
    const { exitCode, stderr } = await runCommand("wait", "operations/1");
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining("LONGRUNNING_SERVER")]);
  });

  it("shows type and progress of metadata whose type REST does not know", async () => {
    const server = await startArchiveServer();
    const name = await server.create(1);
    const address = ["--server", server.url, "--protocol", "rest"];
    const wait = startCommand(["wait", name, ...address]);
    await wait.wrote("stderr", /25% {2}1 of 4\n/);
    await server.operations.succeed(Compress, name, { archive: "a.zip" });
    const { stdout } = await wait.ended;
    expect(stdout).toContain("  metadata: archive.v1.CompressMetadata\n    filesDone: 1\n");
    expect(stdout).toContain("  response: archive.v1.CompressResponse\n    archive: a.zip\n");
    await server.close();
  });
});
