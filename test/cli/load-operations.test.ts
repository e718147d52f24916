import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CommanderError } from "commander";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { typeRegistryOf } from "../../src/any/type-registry.js";
import { exitCodes } from "../../src/cli/exit-codes.js";
import { loadOperations } from "../../src/cli/load-operations.js";

const registry = typeRegistryOf([], undefined);
const empty = { "@type": "type.googleapis.com/google.protobuf.Empty" };
const ok = { name: "operations/ok" };

let directory: string;
let path: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "connect-longrunning-load-"));
  path = join(directory, "operations.json");
});

afterAll(() => rm(directory, { recursive: true }));

async function fault(content: string | Uint8Array): Promise<string> {
  await writeFile(path, content);
  return faultIn(path);
}

/** The error of loading this file, the path replaced by FILE. */
async function faultIn(file: string): Promise<string> {
  const error: unknown = await loadOperations(file, registry).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CommanderError)) throw new Error("no CommanderError", { cause: error });
  expect(error.exitCode).toBe(exitCodes.usage);
  return error.message.replaceAll(file, "FILE");
}

const faultOf = (...operations: unknown[]) => fault(JSON.stringify({ operations }));

describe("loadOperations", () => {
  it("accepts an empty list, null for an unset field, and either spelling of a field", async () => {
    for (const content of ["{}", '{"operations": [], "next_page_token": ""}']) {
      await writeFile(path, content);
      expect(await loadOperations(path, registry)).toEqual({ operations: [], isPage: false });
    }
    await writeFile(
      path,
      '{"operations": [{"name": "operations/a", "error": null, "metadata": null}]}',
    );
    const { operations } = await loadOperations(path, registry);
    expect(operations).toEqual([expect.objectContaining({ name: "operations/a", done: false })]);
  });

  it.each([
    ["text that is not JSON", "{", "FILE: is not JSON"],
    ["a list", "[]", "FILE: is no JSON object"],
    ["bytes that are not UTF-8", new Uint8Array([0x22, 0xff, 0x22]), "FILE: is not UTF-8"],
    [
      "a name twice",
      '{"operations": [], "operations": []}',
      "FILE: has an object with the same name twice",
    ],
    ["deep JSON", "[".repeat(200) + "]".repeat(200), "FILE: nests deeper than 100 levels"],
    [
      "a field that is none",
      '{"operation": []}',
      "FILE: operation is no field of google.longrunning.ListOperationsResponse",
    ],
    ["a prototype's name", '{"__proto__": []}', "FILE: __proto__ is no field of"],
    ["operations that are no list", '{"operations": {}}', "FILE: operations must be a list"],
  ])("refuses %s", async (_, content, message) => {
    expect(await fault(content)).toContain(message);
  });

  it.each([
    ["no object", 7, "operations[1] must be an object"],
    ["no name", {}, 'operations[1].name must have the form "{parent/}operations/{id}", not null'],
    [
      "a name of another form",
      { name: "a/b" },
      'operations[1].name must have the form "{parent/}operations/{id}", not "a/b"',
    ],
    [
      "a name that came before",
      ok,
      'operations[1].name "operations/ok" is the name of operations[0] already',
    ],
    [
      "a field that is none",
      { name: "operations/a", state: "x" },
      "operations[1].state is no field of google.longrunning.Operation",
    ],
    [
      "done that is no boolean",
      { name: "operations/a", done: "yes" },
      "operations[1].done must be true or false",
    ],
    [
      "done without a result",
      { name: "operations/a", done: true },
      "operations[1].done is true, so there must be",
    ],
    [
      "a result that is not done",
      { name: "operations/a", response: empty },
      "operations[1].response must not be there while done is not true",
    ],
    [
      "two results",
      { name: "operations/a", done: true, response: empty, error: { code: 5 } },
      "operations[1].error and response exclude each other",
    ],
    [
      "an error of code 0",
      { name: "operations/a", done: true, error: {} },
      "operations[1].error.code must be the number of an error",
    ],
    [
      "an error of no code",
      { name: "operations/a", done: true, error: { code: 17 } },
      "operations[1].error.code must be the number of an error in google.rpc.Code, from 1 to 16, not 17",
    ],
    [
      "an error with a wrong field",
      { name: "operations/a", done: true, error: { code: 5, detail: 1 } },
      "operations[1].error.detail is no field of google.rpc.Status",
    ],
    [
      "details that are no list",
      { name: "operations/a", done: true, error: { code: 5, details: {} } },
      "operations[1].error.details must be a list",
    ],
    [
      "a payload of the wrong form",
      { name: "operations/a", metadata: 7 },
      "operations[1].metadata is no google.protobuf.Any",
    ],
  ])("names the index and the field of %s", async (_, operation, message) => {
    expect(await faultOf(ok, operation)).toContain(`FILE: ${message}`);
  });

  it("names a type that it does not know, and the remedy", async () => {
    const thing = { "@type": "type.googleapis.com/elsewhere.v1.Thing", size: 3 };
    const inMetadata = await faultOf(ok, { name: "operations/a", metadata: thing });
    expect(inMetadata).toContain('operations[1].metadata is of type "elsewhere.v1.Thing"');
    expect(inMetadata).toContain("--proto-set");
    const error = { code: 5, details: [empty, thing] };
    expect(await faultOf({ name: "operations/a", done: true, error })).toContain(
      'operations[0].error.details[1] is of type "elsewhere.v1.Thing"',
    );
  });

  it("lets no file write to the terminal what it likes", async () => {
    expect(await faultOf({ name: "\x1b[2J" })).toContain('not "\\u001b[2J"');
  });

  it("reads no more than 64 MiB, and says which file it cannot read", async () => {
    await writeFile(path, "{}");
    await truncate(path, 64 * 1024 * 1024 + 1);
    expect(await faultIn(path)).toContain("FILE is larger than the limit of 64 MiB");
    expect(await faultIn(join(directory, "none.json"))).toContain(
      "FILE cannot be read: there is no such file",
    );
  });
});
