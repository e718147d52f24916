import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import {
  create,
  type DescField,
  type DescFile,
  fromBinary,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { afterAll, beforeAll, describe, it } from "vitest";
import {
  file_kinds_v1_kinds,
  type Kinds,
  KindsSchema,
  KindsService,
} from "../gen/kinds/v1/kinds_pb.js";
import { type RestServer, startRestServer } from "../rest/support/rest-server.js";
import { messageText, wordText } from "./drawn-json.js";
import { isInstalled } from "./is-installed.js";

const script = fileURLToPath(new URL("python_proto_json.py", import.meta.url));

/** A Python that has protobuf: Debian's is not always the first one. */
const python = ["/usr/bin/python3", "python3"].find((command) => {
  try {
    execFileSync(command, ["-c", "import google.protobuf"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
});
const remedy = "no protobuf for Python; on Debian: apt-get install python3-protobuf";

/** The result of a text: a message, or undefined if it was refused. */
type Outcome = Kinds | undefined;

/**
 * The texts that json_format of Python's protobuf 4.21 and this package treat differently, each with
 * the reason why ours is right by the ProtoJSON specification. A difference without a row is a fault.
 */
const differences: {
  readonly reason: string;
  readonly ours: "reads" | "refuses" | "reads another value";
  readonly text: RegExp;
}[] = [
  {
    reason: "a number in quotes is a JSON number, without a plus sign, spaces or underscores",
    ours: "refuses",
    text: /"\+|" |[^,:{[]"? "|\\n"|\d_\d/,
  },
  {
    reason: "infinities and NaN have one spelling each",
    ours: "refuses",
    text: /"[+-]?(inf|infinity|nan)"/i,
  },
  {
    reason: "a number in quotes that no float holds is out of range, as it is without quotes",
    ours: "refuses",
    text: /"-?[\d.]+e\+?(3[89]|[4-9]\d|\d{3})"/i,
  },
  { reason: "a Value holds no infinity", ours: "refuses", text: /[:[,]-?1e400/ },
  {
    reason: "an enum is a name or an integer of 32 bits",
    ours: "refuses",
    text: /color|_text|Text/i,
  },
  { reason: "true is not a number", ours: "refuses", text: /[:[,]true/ },
  { reason: "a message is an object, not an empty array", ours: "refuses", text: /\[\]/ },
  { reason: "base64 has an alphabet, and an end", ours: "refuses", text: /\*\*\*\*|=A/ },
  {
    reason: "RFC 3339 has digits after the point, two for each part of an offset, and ranges",
    ours: "refuses",
    text: /\.[Z+-]|\+1:0|\+24:00|\+00:60|"0000|0001-01-01|9999-12-3/,
  },
  {
    reason: "a Duration has an integer of seconds and one to nine digits of a fraction",
    ours: "refuses",
    text: /\.\d{10}s|\.s|[+_ ]/,
  },
  {
    reason: "null is a value of Value and NullValue, so it sets its oneof",
    ours: "refuses",
    text: /c_?(value|null)":null/i,
  },
  {
    reason: "a field given by both of its names is ambiguous",
    ours: "refuses",
    text: /"([a-z]+)_([a-z0-9_]+)".*"\1[A-Z]|"([a-z]+)[A-Z].*"\3_|itsOwn.*own_name|own_name.*itsOwn/,
  },
  {
    reason: "two keys of a map that are one number are ambiguous",
    ours: "refuses",
    text: /by_?[iu](32|64)/i,
  },
  {
    reason: "an integer may have an exponent or a zero fraction, in quotes too",
    ours: "reads",
    text: /"-?\d+(\.\d+)?([eE][+-]?\d+)?"/,
  },
  {
    reason: "white space in base64 is passed over, as in MIME",
    ours: "reads",
    text: /data"?s?":[^,]* /i,
  },
  { reason: "the largest float is in range", ours: "reads", text: /3\.40282/ },
  { reason: "null is an empty list, also of Values", ours: "reads", text: /"values":null/ },
  {
    reason: "a space in a query was a plus sign",
    ours: "reads another value",
    text: /"(w_)?data":"A A="/,
  },
  { reason: "-0 is a number with a sign", ours: "reads another value", text: /-0/ },
  {
    reason: "an integer with a fraction or an exponent is exact, not a double",
    ours: "reads another value",
    text: /\d[.eE][+\d]/,
  },
];

function outcomeKind(ours: Outcome, theirs: Outcome) {
  if (ours !== undefined && theirs !== undefined) return "reads another value";
  return ours === undefined ? "refuses" : "reads";
}

/** Reads each of the texts with Python. */
function readByPython(folder: string, texts: readonly string[]): Outcome[] {
  const set = join(folder, "files.binpb");
  const files: DescFile[] = [];
  const add = (file: DescFile) => {
    if (files.includes(file)) return;
    for (const dependency of file.dependencies) add(dependency);
    files.push(file);
  };
  add(file_kinds_v1_kinds);
  const message = create(FileDescriptorSetSchema, { file: files.map(({ proto }) => proto) });
  writeFileSync(set, toBinary(FileDescriptorSetSchema, message));
  const input = texts.map((text) => JSON.stringify({ type: KindsSchema.typeName, text }));
  const { stdout, stderr, status } = spawnSync(python ?? "", [script, set], {
    input: `${input.join("\n")}\n`,
    maxBuffer: 1 << 28,
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  const lines = stdout.trim().split("\n");
  assert.equal(lines.length, texts.length);
  return lines.map((line) => {
    const { bytes } = JSON.parse(line);
    return bytes === undefined ? undefined : messageOf(Buffer.from(bytes, "base64"));
  });
}

function messageOf(bytes: Buffer): Kinds {
  return fromBinary(KindsSchema, new Uint8Array(bytes));
}

describe.runIf(isInstalled(python, remedy))("ProtoJSON beside Python's protobuf", () => {
  let server: RestServer;
  let folder = "";
  const words = KindsSchema.fields.filter(
    ({ fieldKind, oneof }) =>
      oneof === undefined && (fieldKind === "scalar" || fieldKind === "enum"),
  );
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "proto-json-"));
    const [first, ...others] = words.map(({ name }) => ({
      pattern: { case: "get" as const, value: `/v1/by/${name}/{${name}}` },
    }));
    server = await startRestServer(
      (router) => {
        const truncateForError = (request: Kinds) => request;
        router.service(KindsService, {
          put: truncateForError,
          query: truncateForError,
          getNested: truncateForError,
        });
      },
      {
        rules: [
          {
            selector: "kinds.v1.KindsService.GetNested",
            ...first,
            additionalBindings: others,
          },
        ],
      },
    );
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true });
    assert.deepEqual(server.internalErrors, []);
    await server.close();
  });

  const outcome = async (method: string, path: string, body?: string): Promise<Outcome> => {
    const answer = await server.send(method, path, { body });
    if (answer.status === 200) return messageOf(answer.bytes);
    assert.equal(answer.status, 400, answer.text);
    return undefined;
  };

  /** Compares the outcomes of all texts, and returns how many both read. */
  async function compare(
    drawn: readonly { text: string; send: () => Promise<Outcome> }[],
  ): Promise<number> {
    const theirs = readByPython(
      folder,
      drawn.map(({ text }) => text),
    );
    const unexplained: string[] = [];
    let readByBoth = 0;
    for (const [at, { text, send }] of drawn.entries()) {
      const their = theirs[at];
      const our = await send();
      if (our !== undefined && their !== undefined) readByBoth += 1;
      if (isDeepStrictEqual(our, their)) continue;
      const ours = outcomeKind(our, their);
      if (differences.some((row) => row.ours === ours && row.text.test(text))) continue;
      unexplained.push(`ours ${ours}: ${text}`);
    }
    assert.deepEqual(unexplained, []);
    return readByBoth;
  }

  const seed = Number(process.env.DRAWN_SEED ?? 20_260_701);

  it("server 84: reads 4,000 drawn bodies equally, apart from the listed differences", async () => {
    const texts = new Set<string>();
    for (const text of fc.sample(messageText(KindsSchema), { numRuns: 6000, seed })) {
      if (texts.size < 4000) texts.add(text);
    }
    assert.equal(texts.size, 4000);
    const drawn = [...texts].map((text) => ({
      text,
      send: () => outcome("PUT", "/v1/kinds?alt=proto", text),
    }));
    const readByBoth = await compare(drawn);
    // Refusals alone would prove nothing.
    assert.ok(readByBoth > 1000, `${readByBoth}`);
  }, 120_000);

  /** A value of a field as the text that Python reads, and as the text of a query or a path. */
  const drawnWords = (fields: readonly DescField[], numRuns: number) => {
    const word = fc
      .constantFrom(...fields)
      .chain((field) => fc.tuple(fc.constant(field), wordText(field)));
    return fc.sample(word, { numRuns, seed });
  };
  const asBody = (field: DescField, text: string) => {
    const isBoolean =
      (field.scalar === ScalarType.BOOL || field.name === "w_flag") && /^(true|false)$/.test(text);
    return `{${JSON.stringify(field.name)}:${isBoolean ? text : JSON.stringify(text)}}`;
  };

  it("server 84: reads 2,000 drawn queries equally, apart from the listed differences", async () => {
    const leaves = KindsSchema.fields.filter(
      ({ fieldKind, message, name }) =>
        // These are system parameters.
        !["key", "fields", "alt", "callback"].includes(name) &&
        (fieldKind === "scalar" || fieldKind === "enum" || fieldKind === "message") &&
        (message === undefined || /\.(Timestamp|Duration|\w+Value)$/.test(message.typeName)) &&
        message?.typeName !== "google.protobuf.ListValue",
    );
    const drawn = drawnWords(leaves, 2000).map(([field, text]) => ({
      text: asBody(field, text),
      send: () => outcome("GET", `/v1/kinds?alt=proto&${field.name}=${encodeURIComponent(text)}`),
    }));
    assert.ok((await compare(drawn)) > 500);
  }, 120_000);

  it("server 84: reads 1,000 drawn paths equally, apart from the listed differences", async () => {
    const drawn = drawnWords(words, 1400).flatMap(([field, text]) =>
      text === ""
        ? []
        : [
            {
              text: asBody(field, text),
              send: () =>
                outcome("GET", `/v1/by/${field.name}/${encodeURIComponent(text)}?alt=proto`),
            },
          ],
    );
    assert.ok(drawn.length >= 1000);
    assert.ok((await compare(drawn)) > 300);
  }, 120_000);
});
