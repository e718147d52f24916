import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readResumeToken } from "../../src/client/read-resume-token.js";
import { createResumeToken } from "../../src/client/resume-token.js";
import { OperationError } from "../../src/index.js";
import { Print } from "../support/print-server.js";

/** An interpreter without further packages. */
const python = "/usr/bin/python3";

interface Vector {
  readonly title: string;
  readonly token: string;
  readonly valid: boolean;
  readonly name?: string;
  readonly requestId?: string;
}

const folder = new URL("resume-tokens/", import.meta.url);
const { vectors, ...expected }: { vectors: readonly Vector[] } & Record<string, unknown> =
  JSON.parse(readFileSync(new URL("vectors.json", folder), "utf8"));

/** The results that a vector expects. */
const resultOf = ({ valid, name, requestId }: Vector) =>
  valid ? { valid, name, ...(requestId !== undefined && { requestId }) } : { valid };

/** The results of the Python reader for these tokens. */
function readByPython(tokens: readonly string[]): unknown[] {
  const script = new URL("read_token.py", folder).pathname;
  const input = JSON.stringify({ ...expected, tokens });
  return JSON.parse(execFileSync(python, [script], { input, encoding: "utf8" }));
}

function readHere(token: string): unknown {
  try {
    const { name, requestId } = readResumeToken(JSON.parse(token), Print);
    return { valid: true, name, ...(requestId !== undefined && { requestId }) };
  } catch (error) {
    if (error instanceof OperationError || error instanceof SyntaxError) return { valid: false };
    throw error;
  }
}

describe("the test vectors of resume tokens", () => {
  it.each(vectors)("client 25: reads the token $title as specified", (vector) => {
    expect(readHere(vector.token)).toEqual(resultOf(vector));
  });

  it.skipIf(!existsSync(python))("are read alike by a reader in Python", () => {
    expect(readByPython(vectors.map(({ token }) => token))).toEqual(vectors.map(resultOf));
  });

  it.skipIf(!existsSync(python))("a token of this package is read by a reader in Python", () => {
    const names = [
      "operations/1",
      "/odd//name ",
      "printers/é/operations/\u0001😀",
      "x".repeat(5000),
    ];
    const tokens = names.map((name) => JSON.stringify(createResumeToken(Print, name, "id")));
    expect(readByPython(tokens)).toEqual(
      names.map((name) => ({ valid: true, name, requestId: "id" })),
    );
    for (const [at, token] of tokens.entries()) {
      expect(readHere(token)).toEqual({ valid: true, name: names[at], requestId: "id" });
    }
  });
});
