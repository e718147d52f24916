import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "vitest";
import { typeRegistryOf } from "../../src/any/type-registry.js";
import { createMessageJson } from "../../src/json/message-json.js";
import { parseJson } from "../../src/json/parse-json.js";
import { file_kinds_v1_kinds, KindsSchema } from "../gen/kinds/v1/kinds_pb.js";

const page = readFileSync(new URL("../../docs/conformance/protojson.md", import.meta.url), "utf8");

/** The rows of the table: the name of a case, its JSON, and the JSON or the refusal expected. */
const rows = Array.from(
  page.matchAll(
    /^\| (\w+) \| (?:required|recommended) \| `(.*?)` \| (?:`(.*?)`|refused) \| as expected \|$/gm,
  ),
  ([, name = "", text = "", expected]) => ({ name, text, expected }),
);

const json = createMessageJson({
  registry: typeRegistryOf([file_kinds_v1_kinds], undefined),
  unknownAny: "refuse",
  unknownNames: "refuse",
});

function rewritten(text: string): string {
  const message = json.read(KindsSchema, parseJson(new TextEncoder().encode(text)));
  return JSON.stringify(json.write(KindsSchema, message));
}

describe("docs/conformance/protojson.md", () => {
  it("has a row for each line of its table", () => {
    assert.equal(rows.length, page.match(/^\| \w+ \| re/gm)?.length);
    assert.ok(rows.length > 150);
  });

  it.each(rows)("server 84: meets $name", ({ text, expected }) => {
    if (expected === undefined) assert.throws(() => rewritten(text));
    else assert.equal(rewritten(text), expected);
  });
});
