import {
  create,
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescMethodUnary,
  getOption,
  hasOption,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { type HttpRule, HttpRuleSchema, http } from "../protos.js";
import { fieldAt } from "./field-path.js";
import { type PathTemplate, parsePathTemplate, type TemplateVariable } from "./path-template.js";

/** HTTP rules given in code, in the form of a service configuration (google.api.Http). */
export interface HttpRuleOptions {
  /**
   * Rules by the `selector` of their method, `package.Service.Method`, each in place of the
   * method's own annotation; of several for one method the last one counts. A rule without
   * a pattern takes the method off. Default: none.
   */
  rules?: readonly MessageInitShape<typeof HttpRuleSchema>[] | undefined;
  /**
   * The prefix of all paths of a service, by its full name: `{"google.longrunning.Operations":
   * "/printing"}`. Default: nothing.
   */
  prefixes?: Readonly<Record<string, string>> | undefined;
}

/** One binding of a method to an HTTP method and a path. */
export interface HttpBinding {
  readonly method: DescMethodUnary;
  /** `*` for all of them. */
  readonly httpMethod: string;
  readonly template: PathTemplate;
  readonly variables: readonly BoundVariable[];
  /** The part of the request in the body: nothing, all fields that are not in the path, or one field. */
  readonly body: "none" | "all" | DescField;
  /** The field that is the response's body; undefined for the whole message. */
  readonly responseBody: DescField | undefined;
}

/** A variable of a template, with the fields that lead to where its value goes. */
export interface BoundVariable extends TemplateVariable {
  readonly fields: readonly DescField[];
}

/**
 * Returns the bindings of a method, the main binding first. Returns none if the method has no rule
 * or streams.
 *
 * @throws RangeError for an invalid rule: a malformed template, a variable, `body` or
 * `response_body` that names no field of its kind, bindings within additional bindings.
 */
export function httpBindingsOf(
  method: DescMethod,
  { rules = [], prefixes = {} }: HttpRuleOptions,
): HttpBinding[] {
  if (!isUnary(method)) return [];
  const selector = selectorOf(method);
  const given = rules.findLast((rule) => rule.selector === selector);
  const rule = given === undefined ? annotationOf(method) : create(HttpRuleSchema, given);
  if (rule === undefined || rule.pattern.case === undefined) return [];
  const prefix = prefixes[method.parent.typeName] ?? "";
  return [rule, ...rule.additionalBindings].map((one) => {
    if (one !== rule && one.additionalBindings.length > 0) {
      throw new RangeError(`${selector} has additional bindings within additional bindings`);
    }
    return bindingOf(method, one, prefix);
  });
}

/** Returns the name of a method as a rule selects it: `package.Service.Method`. */
export function selectorOf(method: DescMethod): string {
  return `${method.parent.typeName}.${method.name}`;
}

function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}

function annotationOf(method: DescMethod): HttpRule | undefined {
  return hasOption(method, http) ? getOption(method, http) : undefined;
}

function bindingOf(method: DescMethodUnary, rule: HttpRule, prefix: string): HttpBinding {
  const fault = (what: string) => new RangeError(`the HTTP rule of ${selectorOf(method)} ${what}`);
  const pattern = patternOf(rule);
  if (pattern === undefined) throw fault("has no pattern");
  const template = parsePathTemplate(prefix + pattern.path);
  const fieldOf = (desc: DescMessage, name: string, what: string) => {
    const field = desc.fields.find((one) => one.name === name);
    if (field === undefined) throw fault(`has ${what} "${name}", which ${desc.typeName} has not`);
    return field;
  };
  return {
    method,
    httpMethod: pattern.httpMethod,
    template,
    variables: template.variables.map((variable) => {
      const fields = fieldAt(method.input, variable.fieldPath);
      const kind = fields?.at(-1)?.fieldKind;
      if (fields === undefined || (kind !== "scalar" && kind !== "enum")) {
        throw fault(`binds "${variable.fieldPath.join(".")}", which is no singular scalar field`);
      }
      return { ...variable, fields };
    }),
    body:
      rule.body === ""
        ? "none"
        : rule.body === "*"
          ? "all"
          : fieldOf(method.input, rule.body, "body"),
    responseBody:
      rule.responseBody === ""
        ? undefined
        : fieldOf(method.output, rule.responseBody, "response_body"),
  };
}

function patternOf({ pattern }: HttpRule): { httpMethod: string; path: string } | undefined {
  switch (pattern.case) {
    case undefined:
      return undefined;
    case "custom":
      return { httpMethod: pattern.value.kind, path: pattern.value.path };
    default:
      return { httpMethod: pattern.case.toUpperCase(), path: pattern.value };
  }
}
