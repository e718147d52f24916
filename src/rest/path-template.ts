/** One segment of a path template: a literal, `*` (one segment) or `**` (any number of them). */
export type TemplateSegment =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "one" }
  | { readonly kind: "rest" };

/** A `{field.path=segments}` of a template: which of the path's segments it stands for. */
export interface TemplateVariable {
  /** The names of the fields, as the template spells them, from the outermost one. */
  readonly fieldPath: readonly string[];
  /** Index of its first segment. */
  readonly start: number;
  /** The index after its last segment; undefined if that is `**`, which reaches to the path's end. */
  readonly end: number | undefined;
  /**
   * Whether it is one segment, whose value is percent-decoded wholly. The value of a
   * longer one keeps `%2F` as it is.
   */
  readonly isSingle: boolean;
}

/** A path template of google/api/http.proto, parsed. */
export interface PathTemplate {
  /** As it was written. */
  readonly text: string;
  /** The segments, including those within variables. */
  readonly segments: readonly TemplateSegment[];
  readonly variables: readonly TemplateVariable[];
  /** The text behind the last `:`; undefined if the template has no verb. */
  readonly verb: string | undefined;
}

/**
 * Parses a path template:
 *
 *     Template = "/" Segments [ ":" LITERAL ]
 *     Segments = Segment { "/" Segment }
 *     Segment  = "*" | "**" | LITERAL | Variable
 *     Variable = "{" IDENT { "." IDENT } [ "=" Segments ] "}"
 *
 * `**` is last, apart from a verb, and variables do not nest. `/` alone is the root.
 *
 * @throws RangeError for anything else, naming the template and the place.
 */
export function parsePathTemplate(text: string): PathTemplate {
  let at = 0;
  const segments: TemplateSegment[] = [];
  const variables: TemplateVariable[] = [];

  const fault = (what: string) =>
    new RangeError(`the path template "${text}" has ${what} at position ${at}`);
  const skip = (expected: string): boolean => {
    if (!text.startsWith(expected, at)) return false;
    at += expected.length;
    return true;
  };
  const take = (pattern: RegExp, what: string): string => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found === undefined) throw fault(`no ${what}`);
    at += found.length;
    return found;
  };
  const parseSegment = (inVariable: boolean) => {
    if (segments.at(-1)?.kind === "rest") throw fault("a segment after **");
    if (skip("**")) segments.push({ kind: "rest" });
    else if (skip("*")) segments.push({ kind: "one" });
    else if (!inVariable && skip("{")) parseVariable();
    else segments.push({ kind: "literal", text: take(literal, "segment") });
  };
  const parseSegments = (inVariable: boolean) => {
    do parseSegment(inVariable);
    while (skip("/"));
  };
  const parseVariable = () => {
    const start = segments.length;
    const fieldPath = take(fieldPathPattern, "field path").split(".");
    if (skip("=")) parseSegments(true);
    else segments.push({ kind: "one" });
    if (!skip("}")) throw fault('no "}"');
    const reachesEnd = segments.at(-1)?.kind === "rest";
    variables.push({
      fieldPath,
      start,
      end: reachesEnd ? undefined : segments.length,
      isSingle: segments.length === start + 1 && !reachesEnd,
    });
  };

  if (!skip("/")) throw fault('no "/"');
  // The template of the root is an addition to the grammar.
  if (text !== "/") parseSegments(false);
  const verb = skip(":") ? take(literal, "verb") : undefined;
  if (at < text.length) throw fault("something that belongs to no segment");
  const bound = variables.map(({ fieldPath }) => fieldPath.join("."));
  if (new Set(bound).size < bound.length) {
    throw new RangeError(`the path template "${text}" binds a field twice`);
  }
  return { text, segments, variables, verb };
}

/** The characters of a URL's path, without those that have a meaning in a template. */
const literal = /(?:[A-Za-z0-9\-._~!$&'()+,;@]|%[0-9A-Fa-f]{2})+/y;
const fieldPathPattern = /[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*/y;
