import type { PathTemplate } from "./path-template.js";

/** The target of a path. */
export interface RouteMatch<T> {
  readonly target: T;
  /** The path's segments without the verb, raw: nothing in them is decoded. */
  readonly segments: readonly string[];
}

/** The result of a lookup by HTTP method and path. */
export type RouteLookup<T> =
  | ({ readonly kind: "found" } & RouteMatch<T>)
  /** Templates match, but under other HTTP methods, which are sorted here. */
  | { readonly kind: "otherMethod"; readonly allowed: readonly string[] }
  | { readonly kind: "none" };

/** Path templates with their targets. */
export interface RouteTable<T> {
  /**
   * @param method An HTTP method, `*` for all of them.
   * @throws RangeError if a template that matches the very same paths is there already
   *   under this method.
   */
  add(method: string, template: PathTemplate, target: T): void;
  /**
   * Finds the best route for a raw path, without its query. A literal is better than `*`, and
   * that is better than `**`, from left to right. A segment that is empty matches nothing, so
   * neither does a path with a slash at its end. The text behind the last `:` of the last segment
   * is the verb if a template with that verb matches, under whatever method. Otherwise it belongs
   * to the segment.
   *
   * Visits each node of the table once at most, and as a rule one per segment: no path
   * makes it take more than linear time.
   */
  find(method: string, path: string): RouteLookup<T>;
}

interface Node<T> {
  readonly literals: Map<string, Node<T>>;
  one: Node<T> | undefined;
  /** The targets of templates that end here, by verb and HTTP method. */
  readonly here: Targets<T>;
  /** The targets of templates that go on with `**`. */
  readonly rest: Targets<T>;
}

type Targets<T> = Map<string | undefined, Map<string, { target: T; template: PathTemplate }>>;

export function createRouteTable<T>(): RouteTable<T> {
  const root = createNode<T>();
  return {
    add(method, template, target) {
      const targets = targetsOf(root, template);
      const byMethod = targets.get(template.verb) ?? new Map();
      targets.set(template.verb, byMethod);
      const other = byMethod.get(method);
      if (other !== undefined) {
        throw new RangeError(
          `${method} ${template.text} matches the same paths as ${method} ${other.template.text}`,
        );
      }
      byMethod.set(method, { target, template });
    },
    find(method, path) {
      const segments = segmentsOf(path);
      if (segments === undefined) return { kind: "none" };
      const last = segments.at(-1) ?? "";
      const colon = last.lastIndexOf(":");
      if (colon >= 0) {
        const before = [...segments.slice(0, -1), last.slice(0, colon)];
        const found = findSegments(root, method, before, last.slice(colon + 1));
        if (found.kind !== "none") return found;
      }
      return findSegments(root, method, segments, undefined);
    },
  };
}

function findSegments<T>(
  root: Node<T>,
  method: string,
  segments: readonly string[],
  verb: string | undefined,
): RouteLookup<T> {
  if (segments.includes("")) return { kind: "none" };
  const allowed = new Set<string>();
  const pick = (targets: Targets<T>): T | undefined => {
    const byMethod = targets.get(verb);
    const picked = byMethod?.get(method) ?? byMethod?.get("*");
    if (picked === undefined && byMethod !== undefined) {
      for (const other of byMethod.keys()) allowed.add(other);
    }
    return picked?.target;
  };
  const search = (node: Node<T>, depth: number): T | undefined => {
    const segment = segments[depth];
    if (segment === undefined) return pick(node.here) ?? pick(node.rest);
    const literal = node.literals.get(segment);
    return (
      (literal && search(literal, depth + 1)) ??
      (node.one && search(node.one, depth + 1)) ??
      pick(node.rest)
    );
  };
  const target = search(root, 0);
  if (target !== undefined) return { kind: "found", target, segments };
  if (allowed.size > 0) return { kind: "otherMethod", allowed: [...allowed].sort() };
  return { kind: "none" };
}

function createNode<T>(): Node<T> {
  return { literals: new Map(), one: undefined, here: new Map(), rest: new Map() };
}

function targetsOf<T>(root: Node<T>, { segments }: PathTemplate): Targets<T> {
  let node = root;
  for (const segment of segments) {
    if (segment.kind === "rest") return node.rest;
    let next = segment.kind === "one" ? node.one : node.literals.get(segment.text);
    if (next === undefined) {
      next = createNode();
      if (segment.kind === "one") node.one = next;
      else node.literals.set(segment.text, next);
    }
    node = next;
  }
  return node.here;
}

function segmentsOf(path: string): string[] | undefined {
  if (!path.startsWith("/")) return undefined;
  return path === "/" ? [] : path.slice(1).split("/");
}
