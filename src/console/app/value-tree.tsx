import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { useState } from "preact/hooks";
import { typeNameFromUrl } from "../../internal/type-url.js";
import { isJsonObject } from "../../json/message-json.js";
import { CopyButton, LongText, Text } from "./text.js";

/** Levels that are open at first; deeper ones open on demand. */
const openDepth = 4;

/** Members of an object or a list that are shown at first. */
const shownMembers = 100;

/** Shows a value of proto3 JSON as nested lists of labels and values. */
export function ValueTree({ value, depth = 0 }: { value: JsonValue; depth?: number }) {
  if (Array.isArray(value)) {
    return <Members members={value.map((one, at) => [String(at), one])} depth={depth} isList />;
  }
  if (!isJsonObject(value)) return <Scalar value={value} />;
  const { "@type": typeUrl, ...rest } = unwrapped(value);
  if (typeof typeUrl !== "string") return <Members members={Object.entries(value)} depth={depth} />;
  const bytes = unknownBytes(typeUrl, rest);
  return (
    <div class="typed">
      <span class="type" title={typeUrl.slice(0, 200)}>
        <Text value={bytes === undefined ? typeNameFromUrl(typeUrl) : typeUrl} max={200} />
      </span>
      {bytes === undefined ? (
        <Members members={Object.entries(rest)} depth={depth} />
      ) : (
        <UnknownType base64={bytes} />
      )}
    </div>
  );
}

/**
 * Returns the JSON of an Any of unknown type that a REST transport keeps in a google.protobuf.Struct,
 * and other JSON as it is.
 */
export function unwrapped(json: JsonObject): JsonObject {
  const { "@type": typeUrl, value } = json;
  const isStruct = typeNameFromUrl(String(typeUrl)) === "google.protobuf.Struct";
  return isStruct && isJsonObject(value) && typeof value["@type"] === "string" ? value : json;
}

/** The bytes of an Any of unknown type, which only has the member `value`. */
function unknownBytes(typeUrl: string, rest: Readonly<Record<string, JsonValue>>) {
  const { value } = rest;
  const isOnlyMember = Object.keys(rest).length === 1;
  const hasOwnJson = typeNameFromUrl(typeUrl).startsWith("google.protobuf.");
  return isOnlyMember && typeof value === "string" && !hasOwnJson ? value : undefined;
}

function UnknownType({ base64 }: { base64: string }) {
  return (
    <p class="unknown">
      <span class="hint">The type is unknown, or its bytes cannot be read. In base64: </span>
      <code>
        <Text value={base64} max={400} />
      </code>{" "}
      <CopyButton value={base64} what="the bytes in base64" />
    </p>
  );
}

function Scalar({ value }: { value: string | number | boolean | null }) {
  if (typeof value === "string") {
    return value === "" ? <span class="none">empty</span> : <LongText value={value} />;
  }
  return <span class="scalar">{String(value)}</span>;
}

function Members({
  members,
  depth,
  isList = false,
}: {
  members: readonly (readonly [string, JsonValue])[];
  depth: number;
  isList?: boolean;
}) {
  const [shown, setShown] = useState(shownMembers);
  const [isOpen, setOpen] = useState(depth < openDepth);
  if (members.length === 0) return <span class="none">{isList ? "empty list" : "no fields"}</span>;
  if (!isOpen) {
    return (
      <button type="button" class="link" onClick={() => setOpen(true)}>
        {members.length} {isList ? "items" : "fields"}
      </button>
    );
  }
  return (
    <>
      <dl class={isList ? "tree list" : "tree"}>
        {members.slice(0, shown).map(([name, value]) => (
          <div key={name}>
            <dt>
              <Text value={name} max={200} />
            </dt>
            <dd>
              <ValueTree value={value} depth={depth + 1} />
            </dd>
          </div>
        ))}
      </dl>
      {members.length > shown && (
        <button type="button" class="link" onClick={() => setShown(shown * 2)}>
          more ({members.length - shown} of {members.length})
        </button>
      )}
    </>
  );
}
