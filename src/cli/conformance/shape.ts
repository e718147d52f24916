import type { JsonValue } from "@bufbuild/protobuf";

/** Returns the first problem of a value as `path: problem`, undefined without a problem. */
export type Shape = (value: JsonValue, path: string) => string | undefined;

type JsonObject = { readonly [key: string]: JsonValue };

export const text: Shape = (value, path) =>
  typeof value === "string" ? undefined : `${path} must be a string`;

export const flag: Shape = (value, path) =>
  typeof value === "boolean" ? undefined : `${path} must be true or false`;

export const json: Shape = () => undefined;

/** A number of at least `least`. */
export function number(least: number): Shape {
  return (value, path) =>
    typeof value === "number" && value >= least
      ? undefined
      : `${path} must be a number of at least ${least}`;
}

/** One of several values. */
export function oneOf(...values: readonly (string | boolean)[]): Shape {
  const listed = values.map((value) => JSON.stringify(value)).join(" or ");
  return (value, path) =>
    (typeof value === "string" || typeof value === "boolean") && values.includes(value)
      ? undefined
      : `${path} must be ${listed}`;
}

/** A list whose items have one shape. */
export function list(item: Shape): Shape {
  return (value, path) =>
    Array.isArray(value)
      ? first(value.map((one, at) => item(one, `${path}[${at}]`)))
      : `${path} must be a list`;
}

/** An object with any names. */
export function map(item: Shape): Shape {
  return (value, path) =>
    isObject(value)
      ? first(Object.entries(value).map(([name, one]) => item(one, `${path}.${name}`)))
      : `${path} must be an object`;
}

/** An object with these members only. `required` names those that must be there. */
export function object(
  members: Readonly<Record<string, Shape>>,
  required: readonly string[] = [],
): Shape {
  return (value, path) => {
    if (!isObject(value)) return `${path} must be an object`;
    const missing = required.find((name) => value[name] === undefined);
    if (missing !== undefined) return `${path} must have the member "${missing}"`;
    return first(
      Object.entries(value).map(([name, one]) => {
        const member = members[name];
        return member === undefined
          ? `${path} has the unknown member "${name}"; known are ${Object.keys(members).join(", ")}`
          : member(one, `${path}.${name}`);
      }),
    );
  };
}

/** A value with one of several shapes. The problem is that of the last one with the same kind. */
export function either(...shapes: readonly Shape[]): Shape {
  return (value, path) => {
    const problems = shapes.map((shape) => shape(value, path));
    return problems.includes(undefined)
      ? undefined
      : (problems.findLast((problem) => !problem?.startsWith(`${path} must be a`)) ??
          problems.at(-1));
  };
}

function first(problems: readonly (string | undefined)[]): string | undefined {
  return problems.find((problem) => problem !== undefined);
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
