import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { isJsonObject } from "../../json/message-json.js";

/**
 * A set of allowed JSON values. It is the source of the check, its messages, and the published
 * schema.
 */
export interface Shape {
  /** JSON Schema (2020-12) of the same values, in which members named `//…` are comments. */
  readonly schema: JsonObject;
  /** Returns the first problem of a value as `path: problem`, undefined without a problem. */
  check(value: JsonValue, path: string): string | undefined;
}

const comments = { "^//": {} };

export const text: Shape = {
  schema: { type: "string" },
  check: (value, path) => (typeof value === "string" ? undefined : `${path} must be a string`),
};

export const flag: Shape = {
  schema: { type: "boolean" },
  check: (value, path) =>
    typeof value === "boolean" ? undefined : `${path} must be true or false`,
};

export const json: Shape = { schema: {}, check: () => undefined };

/** Returns the shape of a text that a pattern matches. `what` completes the sentence "must …". */
export function matching(pattern: RegExp, what: string): Shape {
  return {
    schema: { type: "string", pattern: pattern.source },
    check: (value, path) =>
      typeof value === "string" && pattern.test(value) ? undefined : `${path} must ${what}`,
  };
}

/** Returns the shape of a number of at least `least`. */
export function number(least: number): Shape {
  return {
    schema: { type: "number", minimum: least },
    check: (value, path) =>
      typeof value === "number" && value >= least
        ? undefined
        : `${path} must be a number of at least ${least}`,
  };
}

/** Returns the shape of a whole number from `least` to `most`. */
export function whole(least: number, most?: number): Shape {
  const range = most === undefined ? `at least ${least}` : `${least} to ${most}`;
  return {
    schema: { type: "integer", minimum: least, ...(most !== undefined && { maximum: most }) },
    check: (value, path) =>
      typeof value === "number" &&
      Number.isInteger(value) &&
      value >= least &&
      value <= (most ?? value)
        ? undefined
        : `${path} must be a whole number, ${range}`,
  };
}

/** One of several values. */
export function oneOf(...values: readonly (string | boolean)[]): Shape {
  const listed = values.map((value) => JSON.stringify(value)).join(" or ");
  return {
    schema: { enum: [...values] },
    check: (value, path) =>
      (typeof value === "string" || typeof value === "boolean") && values.includes(value)
        ? undefined
        : `${path} must be ${listed}`,
  };
}

/** Returns the shape of a list whose items have one shape. */
export function list(item: Shape): Shape {
  return {
    schema: { type: "array", items: item.schema },
    check: (value, path) =>
      Array.isArray(value)
        ? first(value.map((one, at) => item.check(one, `${path}[${at}]`)))
        : `${path} must be a list`,
  };
}

/** Returns the shape of an object with any names. */
export function map(item: Shape): Shape {
  return {
    schema: { type: "object", patternProperties: comments, additionalProperties: item.schema },
    check: (value, path) =>
      isJsonObject(value)
        ? first(Object.entries(value).map(([name, one]) => item.check(one, `${path}.${name}`)))
        : `${path} must be an object`,
  };
}

/**
 * Returns the shape of an object with these members only. `required` lists the members that must be
 * present.
 */
export function object(
  members: Readonly<Record<string, Shape>>,
  required: readonly string[] = [],
): Shape {
  return {
    schema: {
      type: "object",
      properties: Object.fromEntries(
        Object.entries(members).map(([name, { schema }]) => [name, schema]),
      ),
      patternProperties: comments,
      additionalProperties: false,
      ...(required.length > 0 && { required: [...required] }),
    },
    check(value, path) {
      if (!isJsonObject(value)) return `${path} must be an object`;
      const missing = required.find((name) => value[name] === undefined);
      if (missing !== undefined) return `${path} must have the member "${missing}"`;
      return first(
        Object.entries(value).map(([name, one]) => {
          const member = members[name];
          return member === undefined
            ? `${path} has the unknown member "${name}"; known are ${Object.keys(members).join(", ")}`
            : member.check(one, `${path}.${name}`);
        }),
      );
    },
  };
}

/**
 * Returns the shape of a value with one of several shapes. The reported problem is a problem within
 * the value if one exists, otherwise the problem of the last shape of the same kind.
 */
export function either(...shapes: readonly Shape[]): Shape {
  return {
    schema: { anyOf: shapes.map(({ schema }) => schema) },
    check(value, path) {
      const problems = shapes.map((shape) => shape.check(value, path));
      if (problems.includes(undefined)) return undefined;
      return (
        problems.find((problem) => /^[.[]/.test(problem?.slice(path.length) ?? "")) ??
        problems.findLast((problem) => !problem?.startsWith(`${path} must be a`)) ??
        problems.at(-1)
      );
    },
  };
}

/** Returns the shape with a description in its schema. */
export function described(description: string, { schema, check }: Shape): Shape {
  return { schema: { ...schema, description }, check };
}

/** Returns a shape that refers to a member of the schema's `$defs`. */
export function defined(name: string, { check }: Shape): Shape {
  return { schema: { $ref: `#/$defs/${name}` }, check };
}

function first(problems: readonly (string | undefined)[]): string | undefined {
  return problems.find((problem) => problem !== undefined);
}
