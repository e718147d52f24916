import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { typeNameFromUrl } from "../internal/type-url.js";
import type { Operation } from "../protos.js";
import { isJsonObject } from "../rest/message-json.js";
import { codeFromNumber, codeName } from "../status/code.js";
import { type OperationVerdict, verdictOf } from "./operation-verdict.js";
import { printable } from "./printable.js";
import { type Output, type Style, styled } from "./terminal.js";

/** The colour of each state. */
export const verdictStyles: Readonly<Record<OperationVerdict, Style>> = {
  running: "cyan",
  succeeded: "green",
  failed: "red",
  cancelled: "yellow",
};

/**
 * An operation as indented lines for a reader.
 *
 * @param json The same operation in proto3 JSON, payloads unpacked.
 */
export function operationTree(operation: Operation, json: JsonValue, output: Output): string {
  const verdict = verdictOf(operation);
  const members = isJsonObject(json) ? json : {};
  const lines = [
    styled(output, "bold", printable(operation.name)),
    `  state: ${styled(output, verdictStyles[verdict], verdict)}`,
  ];
  for (const part of ["metadata", "response"]) {
    const value = members[part];
    if (value !== undefined) lines.push(...member(part, value, 1, output));
  }
  if (operation.result.case === "error") {
    const { code, message } = operation.result.value;
    const named = codeName(codeFromNumber(code) ?? Code.Unknown);
    lines.push(`  error: ${styled(output, "red", named)} ${printable(message)}`);
    const details = isJsonObject(members.error) ? members.error.details : undefined;
    if (details !== undefined) lines.push(...member("details", details, 2, output));
  }
  if (operation.done && operation.result.case === undefined) lines.push("  result: none");
  return `${lines.join("\n")}\n`;
}

function member(name: string, value: JsonValue, depth: number, output: Output): string[] {
  return branch(`${"  ".repeat(depth)}${printable(name)}:`, value, depth, output);
}

/** A value behind its label: on the same line where it is a scalar, on those below otherwise. */
function branch(label: string, value: JsonValue, depth: number, output: Output): string[] {
  if (Array.isArray(value)) {
    const dash = `${"  ".repeat(depth + 1)}-`;
    return [label, ...value.flatMap((item) => branch(dash, item, depth + 1, output))];
  }
  if (!isJsonObject(value)) return [`${label} ${scalar(value)}`];
  return [`${label}${typeSuffix(value, output)}`, ...membersOf(value, depth + 1, output)];
}

function membersOf(value: JsonObject, depth: number, output: Output): string[] {
  return Object.entries(value)
    .filter(([name]) => name !== "@type")
    .flatMap(([name, one]) => member(name, one, depth, output));
}

/** The type of what an Any holds. */
function typeSuffix(value: JsonObject, output: Output): string {
  const url = value["@type"];
  if (typeof url !== "string") return "";
  return ` ${styled(output, "dim", printable(typeNameFromUrl(url)))}`;
}

function scalar(value: JsonValue): string {
  return typeof value === "string" ? printable(value) : JSON.stringify(value);
}
