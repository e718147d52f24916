import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { typeNameFromUrl } from "../internal/type-url.js";
import { isJsonObject } from "../json/message-json.js";
import type { Operation } from "../protos.js";
import { codeFromNumber, codeName } from "../status/code.js";
import { type OperationStatus, statusOf } from "./operation-summary.js";
import { printable } from "./printable.js";
import { type Style, styled } from "./style.js";

/** An output that may show colors. */
type StyledOutput = Parameters<typeof styled>[0];

/** The color of each state. */
export const statusStyles: Readonly<Record<OperationStatus, Style>> = {
  running: "cyan",
  succeeded: "green",
  failed: "red",
  cancelled: "yellow",
};

/**
 * Writes an operation as indented lines for people.
 *
 * @param json The operation in proto3 JSON, with its payloads unpacked.
 */
export function operationText(operation: Operation, json: JsonValue, output: StyledOutput): string {
  const status = statusOf(operation);
  const members = isJsonObject(json) ? json : {};
  const lines = [
    styled(output, "bold", printable(operation.name)),
    `  state: ${styled(output, statusStyles[status], status)}`,
  ];
  for (const part of ["metadata", "response"]) {
    const value = members[part];
    if (value !== undefined) lines.push(...member(part, unwrapped(value), 1, output));
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

/** Returns the JSON of an Any of unknown type, which a REST transport keeps as a Struct. */
function unwrapped(value: JsonValue): JsonValue {
  if (!isJsonObject(value) || !isJsonObject(value.value)) return value;
  const isStruct = typeNameFromUrl(String(value["@type"])) === "google.protobuf.Struct";
  return isStruct && typeof value.value["@type"] === "string" ? value.value : value;
}

function member(name: string, value: JsonValue, depth: number, output: StyledOutput): string[] {
  return branch(`${"  ".repeat(depth)}${printable(name)}:`, value, depth, output);
}

/** Writes a scalar on the line of its label, and any other value on the lines below. */
function branch(label: string, value: JsonValue, depth: number, output: StyledOutput): string[] {
  if (Array.isArray(value)) {
    const dash = `${"  ".repeat(depth + 1)}-`;
    return [label, ...value.flatMap((item) => branch(dash, item, depth + 1, output))];
  }
  if (!isJsonObject(value)) return [`${label} ${scalar(value)}`];
  return [`${label}${typeSuffix(value, output)}`, ...membersOf(value, depth + 1, output)];
}

function membersOf(value: JsonObject, depth: number, output: StyledOutput): string[] {
  return Object.entries(value)
    .filter(([name]) => name !== "@type")
    .flatMap(([name, one]) => member(name, one, depth, output));
}

/** Returns the type of an Any, to follow its label; empty for other values. */
function typeSuffix(value: JsonObject, output: StyledOutput): string {
  const url = value["@type"];
  if (typeof url !== "string") return "";
  return ` ${styled(output, "dim", printable(typeNameFromUrl(url)))}`;
}

function scalar(value: JsonValue): string {
  return typeof value === "string" ? printable(value) : JSON.stringify(value);
}
