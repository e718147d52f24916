import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, it } from "vitest";
import { isInstalled } from "./is-installed.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);

/** Whether a program is there with its packages. */
function works(program: string, ...args: string[]): true | undefined {
  try {
    execFileSync(program, args, { cwd: root, stdio: "ignore" });
    return true;
  } catch {
    return undefined;
  }
}

interface Reference {
  readonly language: string;
  /** The fault that the server plants in itself, and the case that must find it. */
  readonly fault: string;
  readonly caseId: string;
  readonly isThere: true | undefined;
  readonly remedy: string;
  /** Makes what the server needs. */
  readonly prepare?: () => Promise<unknown>;
}

const hasProtoc = works("protoc", "--version");
const descriptors = [
  "-I",
  "proto",
  "--include_imports",
  "--descriptor_set_out=.cache/driver.binpb",
];

const references: readonly Reference[] = [
  {
    language: "grpc-js",
    fault: "prefix",
    caseId: "get.near",
    isThere: true,
    remedy: "",
  },
  {
    language: "python",
    fault: "cancel-code",
    caseId: "cancel.ends",
    isThere: hasProtoc && works("/usr/bin/python3", "-c", "import grpc, google.protobuf"),
    remedy: "on Debian: apt-get install protobuf-compiler python3-grpcio python3-protobuf",
    async prepare() {
      mkdirSync(`${root}.cache`, { recursive: true });
      await run("protoc", [...descriptors, "longrunning/conformance/v1/driver.proto"], {
        cwd: root,
      });
    },
  },
  {
    language: "go",
    fault: "wait-status",
    caseId: "wait.bound",
    isThere: hasProtoc && works("go", "version") && works("which", "protoc-gen-go"),
    remedy:
      "on Debian: apt-get install protobuf-compiler golang-go golang-google-grpc-dev protoc-gen-go-1-5",
    prepare: () => run("conformance/references/go/build", [], { cwd: root }),
  },
];

/** Runs the command against a reference, with options. */
async function conformance(
  { language }: Reference,
  env: Record<string, string>,
  ...options: string[]
): Promise<{ code: number; output: string }> {
  const args = ["src/cli/longrunning.ts", "conformance"];
  const subject = `conformance/references/${language}/subject.json`;
  try {
    const { stdout } = await run("node_modules/.bin/tsx", [...args, subject, ...options], {
      cwd: root,
      env: { ...process.env, ...env },
    });
    return { code: 0, output: stdout };
  } catch (error) {
    assert(error instanceof Error && "code" in error && "stdout" in error);
    return { code: Number(error.code), output: String(error.stdout) };
  }
}

/** A run takes half a minute, which `npm test` does not have. */
const isWanted = process.env.FOREIGN_CLIENTS === "required";

describe.runIf(isWanted).each(references)("the reference server in $language", (reference) => {
  it("passes the conformance suite, and fails the case about its planted fault", async () => {
    isInstalled(reference.isThere, reference.remedy);
    await reference.prepare?.();
    const options = ["--jobs", "4", "--level", "should", "--inferred"];
    const correct = await conformance(reference, {}, ...options);
    assert.match(correct.output, /^held: /m);
    assert.equal(correct.code, 0);
    const env = { FAULT: reference.fault };
    const faulty = await conformance(reference, env, "--case", reference.caseId);
    assert.match(faulty.output, new RegExp(`^FAIL  ${reference.caseId}  grpc`, "m"));
    assert.equal(faulty.code, 1);
  }, 300_000);
});
