import type { DescMessage } from "@bufbuild/protobuf";
import { protoCamelCase } from "@bufbuild/protobuf/reflect";
import { wildcardPieces } from "../../internal/wildcard.js";
import { fullName, type LongRunningMethod } from "../../operation/long-running.js";
import { StatusSchema } from "../../protos.js";
import { negated, type OperationFilter } from "../../store/operation-filter.js";
import type { PayloadTest } from "../../store/payload-condition.js";
import { type FilterFault, invalidFilter } from "../errors.js";
import { standardFieldsOf } from "../standard-metadata.js";
import {
  attemptCondition,
  booleanCondition,
  errorCodeCondition,
  presentCondition,
  stateCondition,
  textCondition,
  timeCondition,
} from "./column-conditions.js";
import {
  type Checked,
  type Condition,
  isFault,
  isPresence,
  presenceOfMember,
  unknownField,
} from "./condition.js";
import {
  type Expression,
  type FilterSyntax,
  type Part,
  printPath,
  type Restriction,
} from "./filter-syntax.js";
import { parseFilterSyntax } from "./parse-filter-syntax.js";
import { noSuchField, payloadTests, rightReadings } from "./payload-tests.js";

/**
 * Reads the filter of a list (AIP-160); undefined if it is empty. docs/reference/filters.md lists
 * the fields and operators.
 *
 * @param methods The methods whose metadata and response types the filter can look into. A
 *   field that only some of the types have makes the condition false for the others.
 * @param seesAll Whether the caller sees the operations of others, and so may ask for `principal`.
 *
 * @throws ConnectError INVALID_ARGUMENT with the column of the fault. The reason is
 *   `INVALID_FILTER` if the text does not follow the grammar or exceeds a bound,
 *   `UNKNOWN_FILTER_FIELD`, or `FILTER_TYPE_MISMATCH` if the field does not take the value or the
 *   operator.
 */
export function parseFilter(
  text: string,
  methods: readonly LongRunningMethod[],
  seesAll = true,
): OperationFilter | undefined {
  const syntax = parseFilterSyntax(text);
  if (syntax === undefined) return undefined;
  const filter = compileFilter(syntax, methods, seesAll);
  if (isFault(filter)) throw invalidFilter(text, filter);
  return filter;
}

/** The fields at the beginning of a path. */
const roots = [
  "name",
  "done",
  "method",
  "state",
  "attempt",
  "principal",
  "create_time",
  "update_time",
  "end_time",
  "cancel_requested",
  "error",
  "metadata",
  "response",
] as const;

/**
 * Check a filter's fields and values against the types, and give it the form that a store
 * evaluates; or the first fault in it.
 */
function compileFilter(
  syntax: FilterSyntax,
  methods: readonly LongRunningMethod[],
  seesAll: boolean,
): Checked<OperationFilter> {
  const scope = {
    seesAll,
    metadata: payloadTypes(methods, "metadata"),
    response: payloadTypes(methods, "response"),
  };
  return compileExpression(syntax, (restriction) => compileRestriction(restriction, scope));
}

/** One type of metadata or response, and the methods that have it. */
interface PayloadType {
  readonly type: DescMessage;
  readonly methods: readonly string[];
}

/** The types and fields that a filter may name. */
interface FilterScope {
  readonly seesAll: boolean;
  readonly metadata: readonly PayloadType[];
  readonly response: readonly PayloadType[];
}

function payloadTypes(
  methods: readonly LongRunningMethod[],
  payload: "metadata" | "response",
): PayloadType[] {
  const byName = new Map<string, PayloadType>();
  for (const method of methods) {
    const known = byName.get(method[payload].typeName) ?? { type: method[payload], methods: [] };
    byName.set(known.type.typeName, {
      ...known,
      methods: [...known.methods, fullName(method.method)],
    });
  }
  return [...byName.values()];
}

function compileExpression<Leaf>(
  expression: Expression<Leaf>,
  compileLeaf: (leaf: Leaf) => Checked<OperationFilter>,
): Checked<OperationFilter> {
  switch (expression.kind) {
    case "leaf":
      return compileLeaf(expression.leaf);
    case "not": {
      const operand = compileExpression(expression.operand, compileLeaf);
      return isFault(operand) ? operand : negated(operand);
    }
    case "and":
    case "or": {
      const operands: OperationFilter[] = [];
      for (const each of expression.operands) {
        const operand = compileExpression(each, compileLeaf);
        if (isFault(operand)) return operand;
        operands.push(operand);
      }
      return { kind: expression.kind, operands };
    }
  }
}

function compileRestriction(
  { path, comparison }: Restriction,
  scope: FilterScope,
): Checked<OperationFilter> {
  if (comparison === undefined) return anywhere(path);
  const { operator, position, argument } = comparison;
  if (argument.kind !== "leaf" && operator !== "=" && operator !== ":") {
    const problem = `several values stand only behind "=" and ":"; NOT negates`;
    return { reason: "INVALID_FILTER", position, problem };
  }
  return compileExpression(argument, (literal) =>
    compileCondition({ path, operator, position, literal }, scope),
  );
}

/** A literal alone, which is looked for in the name and the method. */
function anywhere(path: readonly Part[]): Checked<OperationFilter> {
  const [first] = path;
  const isField = first !== undefined && !first.quoted && isRoot(first.text);
  if (first === undefined || isField || (path.length > 1 && path.some(({ quoted }) => quoted))) {
    const problem = `${printPath(path)} is a field: compare it, or put all of it in quotes to look for it in names`;
    return { reason: "INVALID_FILTER", position: first?.position ?? 1, problem };
  }
  const text = path.map((part) => part.text).join(".");
  const pieces = wildcardPieces(`*${text}*`);
  const operands = (["name", "method"] as const).map((column) => ({
    kind: "wildcard" as const,
    column,
    pieces,
  }));
  return { kind: "or", operands };
}

function compileCondition(condition: Condition, scope: FilterScope): Checked<OperationFilter> {
  const [root, member] = condition.path;
  if (root === undefined || !isRootIn(scope, root.text)) return unknownRoot(root, scope);
  switch (root.text) {
    case "metadata":
    case "response":
    case "error":
      return inPayload(root.text, condition, scope);
    default:
      if (member !== undefined) {
        return unknownField(member, `"${root.text}" has no fields, so no "${member.text}"`);
      }
      return onColumn(root.text, condition);
  }
}

function onColumn(column: Column, condition: Condition): Checked<OperationFilter> {
  switch (column) {
    case "name":
    case "method":
    case "principal":
      return textCondition(column, condition);
    case "state":
      return stateCondition(condition);
    case "attempt":
      return attemptCondition(condition);
    case "done":
      return booleanCondition("done", condition);
    case "cancel_requested":
      return booleanCondition("cancel-requested", condition);
    case "create_time":
    case "update_time":
    case "end_time":
      return timeCondition(column, condition);
  }
}

function inPayload(
  payload: Payload,
  condition: Condition,
  scope: FilterScope,
): Checked<OperationFilter> {
  const [, member, more] = condition.path;
  if (member === undefined) {
    return condition.operator === ":" && !isPresence(condition)
      ? inPayload(payload, presenceOfMember(condition), scope)
      : presentCondition(payload, condition);
  }
  if (payload !== "error") return inTypedPayload(payload, member, condition, scope[payload]);
  if (member.text !== "code") return asStatus(condition);
  if (more !== undefined) return unknownField(more, `"code" has no fields, so no "${more.text}"`);
  return errorCodeCondition(condition);
}

function asStatus(condition: Condition): Checked<OperationFilter> {
  const tests = payloadTests(StatusSchema, condition, 1);
  if (isFault(tests)) return tests;
  const alternatives = tests.map((test) => ({ type: StatusSchema, ...test }));
  return { kind: "payload", payload: "error", alternatives };
}

/** True for the records of those types that the condition makes sense for. */
function inTypedPayload(
  payload: "metadata" | "response",
  member: Part,
  condition: Condition,
  types: readonly PayloadType[],
): Checked<OperationFilter> {
  const readings = types.map(({ type, methods }): Checked<readonly Alternative[]> => {
    const column = payload === "metadata" ? standardColumnOf(type, member.text) : undefined;
    return column !== undefined && condition.path.length === 2
      ? asColumn(column, methods, condition)
      : asPayload(type, condition);
  });
  const messages = types.map(({ type }) => type);
  const owner =
    messages.length === 1 ? (messages[0]?.typeName ?? "") : `the ${payload} of the known methods`;
  const found = rightReadings(readings, noSuchField(messages, owner, member));
  if (isFault(found)) return found;
  const alternatives = found.flatMap(({ test }) => (test === undefined ? [] : [test]));
  const filters = found.flatMap(({ filter }) => (filter === undefined ? [] : [filter]));
  if (alternatives.length > 0) filters.push({ kind: "payload", payload, alternatives });
  const [only] = filters;
  return only !== undefined && filters.length === 1 ? only : { kind: "or", operands: filters };
}

/** A condition for one type: a test of the payload, or a condition on one of the record's columns. */
interface Alternative {
  readonly test?: PayloadTest;
  readonly filter?: OperationFilter;
}

function asPayload(type: DescMessage, condition: Condition): Checked<readonly Alternative[]> {
  const tests = payloadTests(type, condition, 1);
  return isFault(tests) ? tests : tests.map((test) => ({ test: { type, ...test } }));
}

function asColumn(
  column: StandardColumn,
  methods: readonly string[],
  condition: Condition,
): Checked<readonly Alternative[]> {
  const compiled = onColumn(column, condition);
  if (isFault(compiled)) return compiled;
  return [{ filter: { kind: "and", operands: [{ kind: "method-in", methods }, compiled] } }];
}

type Root = (typeof roots)[number];
type Payload = Extract<Root, "metadata" | "response" | "error">;
type Column = Exclude<Root, Payload>;

function isRoot(text: string): text is Root {
  return roots.some((root) => root === text);
}

function isRootIn({ seesAll }: FilterScope, text: string): text is Root {
  return isRoot(text) && (seesAll || text !== "principal");
}

function unknownRoot(part: Part | undefined, scope: FilterScope): FilterFault {
  const text = part?.text ?? "";
  const known = roots.filter((root) => isRootIn(scope, root));
  const meant = known.find((root) => protoCamelCase(root) === text);
  const hint =
    meant === undefined ? `the fields are ${known.join(", ")}` : `it is written ${meant}`;
  const problem = `there is no field "${text}"; ${hint}`;
  return { reason: "UNKNOWN_FILTER_FIELD", position: part?.position ?? 1, problem };
}

/** A column of a record that the server shows in the metadata. */
type StandardColumn = "create_time" | "end_time" | "cancel_requested";

/**
 * The column that the server shows in this field of a method's metadata; undefined for a
 * field whose value is stored.
 */
function standardColumnOf(metadata: DescMessage, fieldName: string): StandardColumn | undefined {
  const number = metadata.fields.find(({ name }) => name === fieldName)?.number;
  if (number === undefined) return undefined;
  const { createTime, endTime, cancelRequested } = standardFieldsOf(metadata);
  if (number === createTime) return "create_time";
  if (number === endTime) return "end_time";
  return number === cancelRequested ? "cancel_requested" : undefined;
}
