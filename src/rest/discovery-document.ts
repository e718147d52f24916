import type { DescField, DescMessage, JsonObject } from "@bufbuild/protobuf";
import { hasOwnJson } from "../json/message-json.js";
import { batchPath } from "./batch.js";
import { createDiscoverySchemas, type DiscoverySchemas, wordSchema } from "./discovery-schemas.js";
import { noSuchVersion } from "./errors.js";
import { isLeaf } from "./field-path.js";
import type { BoundVariable, HttpBinding } from "./http-rules.js";
import type { TemplateSegment } from "./path-template.js";

/** The path of the discovery document. `?version=…` selects the version. */
export const discoveryPath = "/$discovery/rest";

/** The parts of a discovery document that no HTTP rule gives. */
export interface DiscoveryOptions {
  /** The API's name, of letters and digits, first in the methods' ids. Default: "longrunning". */
  name?: string | undefined;
  /** The API's name for people. Default: as `name`. */
  title?: string | undefined;
  /**
   * Where the paths begin: a URL with a slash at its end. Default: the origin of the request for
   * the document, which a proxy may hide.
   */
  rootUrl?: string | undefined;
}

/** The discovery documents of an API, one per version. */
export interface Discovery {
  /**
   * @param version The first segment of the version's paths; undefined if there is only one version.
   * @param origin `http://host`.
   * @throws ConnectError 404 for a version that no rule has.
   */
  document(version: string | undefined, origin: string): JsonObject;
}

/**
 * Creates Google API discovery documents (`discovery#restDescription`) from the rules of methods.
 * Methods without a version in their path are in `v1`.
 *
 * @throws RangeError if the name has other characters than letters and digits.
 */
export function createDiscovery(
  routes: readonly { readonly binding: HttpBinding }[],
  { name = "longrunning", title = name, rootUrl }: DiscoveryOptions = {},
  hasBatch = true,
): Discovery {
  if (!/^[A-Za-z][A-Za-z0-9]*$/.test(name)) {
    throw new RangeError(`discovery.name must be letters and digits, not "${name}"`);
  }
  const byVersion = new Map<string, HttpBinding[]>();
  for (const { binding } of routes) {
    if (binding.httpMethod === "*") continue;
    const version = versionOf(binding) ?? "v1";
    byVersion.set(version, [...(byVersion.get(version) ?? []), binding]);
  }
  const made = new Map<string, JsonObject>();
  return {
    document(version, origin) {
      const versions = [...byVersion.keys()];
      const chosen = version ?? (versions.length === 1 ? versions[0] : undefined) ?? "";
      const bindings = byVersion.get(chosen);
      if (bindings === undefined) throw noSuchVersion(chosen, versions);
      const fixed = made.get(chosen) ?? versionDocument(name, title, chosen, bindings, hasBatch);
      made.set(chosen, fixed);
      const root = rootUrl ?? `${origin}/`;
      return { ...fixed, rootUrl: root, baseUrl: root };
    },
  };
}

function versionDocument(
  name: string,
  title: string,
  version: string,
  bindings: readonly HttpBinding[],
  hasBatch: boolean,
): JsonObject {
  const schemas = createDiscoverySchemas(
    bindings.flatMap(({ method }) => [method.input, method.output]),
  );
  const root = createResource();
  for (const binding of bindings) addMethod(root, name, binding, schemas);
  return {
    kind: "discovery#restDescription",
    discoveryVersion: "v1",
    id: `${name}:${version}`,
    name,
    version,
    title,
    description: "",
    protocol: "rest",
    servicePath: "",
    basePath: "",
    ...(hasBatch && { batchPath: batchPath.slice(1) }),
    parameters: standardParameters,
    ...jsonOf(root),
    schemas: schemas.all(),
  };
}

interface Resource {
  readonly methods: Map<string, JsonObject>;
  readonly resources: Map<string, Resource>;
}

function createResource(): Resource {
  return { methods: new Map(), resources: new Map() };
}

function jsonOf({ methods, resources }: Resource): JsonObject {
  const below = [...resources].map(([name, resource]) => [name, jsonOf(resource)]);
  return {
    ...(methods.size > 0 && { methods: Object.fromEntries(methods) }),
    ...(below.length > 0 && { resources: Object.fromEntries(below) }),
  };
}

function addMethod(
  root: Resource,
  api: string,
  binding: HttpBinding,
  schemas: DiscoverySchemas,
): void {
  const collections = collectionsOf(binding);
  let resource = root;
  for (const name of collections) {
    const next = resource.resources.get(name) ?? createResource();
    resource.resources.set(name, next);
    resource = next;
  }
  const name = methodNameOf(binding, resource);
  resource.methods.set(name, {
    id: [api, ...collections, name].join("."),
    ...methodDescription(binding, schemas),
  });
}

function methodDescription(binding: HttpBinding, schemas: DiscoverySchemas): JsonObject {
  const { method, httpMethod, body, responseBody, template } = binding;
  const verb = template.verb === undefined ? "" : `:${template.verb}`;
  const path = pathOf(binding);
  const inPath = new Set(
    binding.variables.flatMap(({ fields }) => (fields.length === 1 ? fields : [])),
  );
  const response =
    responseBody?.message ?? (responseBody === undefined ? method.output : undefined);
  return {
    httpMethod,
    path: path.map(({ text }) => text).join("/") + verb,
    flatPath: path.map(({ flat }) => flat).join("/") + verb,
    parameters: {
      ...Object.fromEntries(path.flatMap(({ parameter }) => (parameter ? [parameter] : []))),
      ...Object.fromEntries(queryParametersOf(binding)),
    },
    parameterOrder: path.flatMap(({ parameter }) => (parameter ? [parameter[0]] : [])),
    ...(body === "all" && { request: schemas.refToBody(method.input, inPath) }),
    ...(typeof body === "object" && body.message && { request: schemas.refTo(body.message) }),
    ...(response !== undefined && { response: schemas.refTo(response) }),
  };
}

/** A part of a path: as clients fill it in, as segments, and the parameter in it. */
interface PathPart {
  readonly text: string;
  readonly flat: string;
  readonly parameter?: [name: string, description: JsonObject];
}

function pathOf({ template, variables }: HttpBinding): PathPart[] {
  const { segments } = template;
  const parts: PathPart[] = [];
  for (let at = 0; at < segments.length; ) {
    const variable = variables.find(({ start }) => start === at);
    const end = variable === undefined ? at + 1 : (variable.end ?? segments.length);
    const flat = segments
      .slice(at, end)
      .map((segment, offset) => flatSegment(segment, segments[at + offset - 1]));
    parts.push(
      variable === undefined
        ? { text: flat.join("/"), flat: flat.join("/") }
        : variablePart(variable, segments.slice(at, end), flat),
    );
    at = end;
  }
  return parts;
}

function variablePart(
  { fields, isSingle }: BoundVariable,
  segments: readonly TemplateSegment[],
  flat: readonly string[],
): PathPart {
  const name = fields.map(({ jsonName }) => jsonName).join(".");
  const description = { type: "string", location: "path", required: true };
  if (isSingle && segments[0]?.kind === "one") {
    return { text: `{${name}}`, flat: `{${name}}`, parameter: [name, description] };
  }
  const pattern = `^${segments.map(patternOf).join("/")}$`;
  return {
    text: `{+${name}}`,
    flat: flat.join("/"),
    parameter: [name, { ...description, pattern }],
  };
}

function patternOf(segment: TemplateSegment): string {
  if (segment.kind === "one") return "[^/]+";
  if (segment.kind === "rest") return ".*";
  return segment.text.replace(/[.$()+]/g, "\\$&");
}

/** Names a wildcard segment after the collection before it. */
function flatSegment(segment: TemplateSegment, before: TemplateSegment | undefined): string {
  if (segment.kind === "literal") return segment.text;
  return `{${before?.kind === "literal" ? before.text : "resource"}Id}`;
}

const versionPattern = /^v\d+[a-z0-9]*$/;

function versionOf({ template }: HttpBinding): string | undefined {
  const found = template.segments.find(
    (segment) => segment.kind === "literal" && versionPattern.test(segment.text),
  );
  return found?.kind === "literal" ? found.text : undefined;
}

/** The collections along a path, after its version: the resources that its method is in. */
function collectionsOf(binding: HttpBinding): string[] {
  const version = versionOf(binding);
  const literals = binding.template.segments.flatMap((segment) =>
    segment.kind === "literal" ? [segment.text] : [],
  );
  const after = literals.slice(version === undefined ? 0 : literals.indexOf(version) + 1);
  return after.length > 0 ? after : [lowerCamel(binding.method.parent.name)];
}

/** `cancel` of `:cancel` and of CancelOperation; the whole name where that is taken. */
function methodNameOf({ method, httpMethod, template }: HttpBinding, { methods }: Resource) {
  const [standard] = /^(?:Get|List|Create|Update|Delete)(?=[A-Z])/.exec(method.name) ?? [];
  const short = standard === "Update" && httpMethod === "PATCH" ? "patch" : standard;
  const name = template.verb ?? lowerCamel(short ?? method.name);
  const candidates = [name, lowerCamel(method.name)];
  const free = candidates.find((candidate) => !methods.has(candidate));
  return free ?? `${lowerCamel(method.name)}${methods.size}`;
}

function lowerCamel(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1);
}

/** How deep parameters look into messages, which may contain themselves. */
const maxParameterDepth = 4;

function queryParametersOf({ method, body, variables }: HttpBinding): [string, JsonObject][] {
  if (body === "all") return [];
  const inPath = new Set(variables.map(({ fields }) => pathName(fields)));
  const parametersOf = (desc: DescMessage, before: readonly DescField[]): [string, JsonObject][] =>
    desc.fields.flatMap((field): [string, JsonObject][] => {
      const fields = [...before, field];
      const name = pathName(fields);
      if (field === body || inPath.has(name)) return [];
      if (isLeaf(field)) {
        const repeated = field.fieldKind === "list" && { repeated: true };
        return [[name, { ...wordSchema(field), location: "query", ...repeated }]];
      }
      const isOpen = field.fieldKind === "message" && !hasOwnJson(field.message);
      return isOpen && fields.length < maxParameterDepth ? parametersOf(field.message, fields) : [];
    });
  return parametersOf(method.input, []);
}

function pathName(fields: readonly DescField[]): string {
  return fields.map(({ jsonName }) => jsonName).join(".");
}

const ofQuery = (type: string, description: string, more: JsonObject = {}): JsonObject => ({
  type,
  description,
  location: "query",
  ...more,
});

/** The system parameters, which all methods have. */
const standardParameters: JsonObject = {
  "$.xgafv": ofQuery("string", "Error format.", {
    enum: ["1", "2"],
    enumDescriptions: ["Older error format", "Error format of google.rpc.Status"],
  }),
  access_token: ofQuery("string", "OAuth access token."),
  alt: ofQuery("string", "Format of the answer.", {
    default: "json",
    enum: ["json", "proto"],
    enumDescriptions: ["JSON", "Protobuf in binary"],
  }),
  callback: ofQuery("string", "Function for JSONP to call."),
  fields: ofQuery("string", "Which fields of the answer to include."),
  key: ofQuery("string", "API key."),
  oauth_token: ofQuery("string", "OAuth 2.0 token of the user."),
  prettyPrint: ofQuery("boolean", "Whether the answer is indented.", { default: "true" }),
  quotaUser: ofQuery("string", "Whose quota the call counts to."),
  uploadType: ofQuery("string", "Older protocol of uploads; of no effect here."),
  upload_protocol: ofQuery("string", "Protocol of uploads; of no effect here."),
};
