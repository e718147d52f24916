import {
  type DescFile,
  type DescMessage,
  type DescMethod,
  type DescMethodUnary,
  type DescService,
  getOption,
  hasOption,
  type Registry,
} from "@bufbuild/protobuf";
import { Operations, operation_info } from "../protos.js";

/**
 * The descriptor of google.longrunning.Operation: ours, or the one that a
 * project generated for itself.
 */
export type OperationDesc = DescMessage & { readonly typeName: "google.longrunning.Operation" };

/** The two payload types of a long-running method. */
export interface OperationTypes<
  R extends DescMessage = DescMessage,
  M extends DescMessage = DescMessage,
> {
  /** What `Operation.response` holds when the operation succeeded. */
  readonly response: R;
  /** What `Operation.metadata` holds. */
  readonly metadata: M;
}

/**
 * A unary method that returns google.longrunning.Operation, together with the
 * two message types that its `operation_info` option names. Server and client
 * take everything typed from this one value.
 */
export interface LongRunningMethod<
  I extends DescMessage = DescMessage,
  R extends DescMessage = DescMessage,
  M extends DescMessage = DescMessage,
> extends OperationTypes<R, M> {
  readonly method: DescMethodUnary<I, OperationDesc>;
}

/**
 * Declare a long-running method with its two payload types, which are checked
 * against the method's `operation_info`.
 *
 * @throws TypeError if the method carries no `operation_info`, if it lacks one of
 *   the two types, or if it names another type (AIP-151). A name without a dot
 *   is in the method's package (AIP-4210).
 */
export function longRunning<I extends DescMessage, R extends DescMessage, M extends DescMessage>(
  method: DescMethodUnary<I, OperationDesc>,
  types: OperationTypes<R, M>,
): LongRunningMethod<I, R, M>;
/**
 * Declare a long-running method whose payload types are looked up at run time:
 * in the method's file and what it imports, then in `registry`. Their static
 * type is `Message`.
 *
 * @throws TypeError as above, and if a type is found nowhere.
 */
export function longRunning<I extends DescMessage>(
  method: DescMethodUnary<I, OperationDesc>,
  options?: { registry?: Registry | undefined },
): LongRunningMethod<I>;
export function longRunning(
  method: DescMethodUnary<DescMessage, OperationDesc>,
  options: Partial<OperationTypes> & { registry?: Registry | undefined } = {},
): LongRunningMethod {
  const fault = (what: string) => new TypeError(`${fullName(method)}${what}`);
  const names = operationInfoOf(method);
  if (names === undefined) {
    throw fault(" has no google.longrunning.operation_info option (AIP-151)");
  }
  const resolve = (field: "response" | "metadata"): DescMessage => {
    const name = names[field];
    if (name === "") throw fault(`: its operation_info has no ${field}_type (AIP-151)`);
    const given = options[field];
    if (given !== undefined && given.typeName !== name) {
      throw fault(`: its operation_info names "${name}" as ${field}_type, not "${given.typeName}"`);
    }
    const found =
      given ?? findMessage(method.parent.file, name) ?? options.registry?.getMessage(name);
    if (found !== undefined) return found;
    throw fault(
      `: its ${field}_type "${name}" is unknown; import it in ${method.parent.file.proto.name} ` +
        `(AIP-4210), or pass its schema or a registry`,
    );
  };
  return { method, response: resolve("response"), metadata: resolve("metadata") };
}

/** The long-running methods of a service, by their names in TypeScript. */
export type LongRunningMethodsOf<Service extends DescService> = {
  readonly [Name in keyof Service["method"] as Service["method"][Name] extends DescMethodUnary<
    DescMessage,
    OperationDesc
  >
    ? Name & string
    : never]: Service["method"][Name] extends DescMethodUnary<infer I, OperationDesc>
    ? LongRunningMethod<I>
    : never;
};

/**
 * All methods of a service that return google.longrunning.Operation, their payload
 * types looked up at run time.
 *
 * @throws TypeError what `longRunning` throws, for any of them.
 */
export function longRunningMethodsOf(
  service: DescService,
  registry?: Registry,
): Record<string, LongRunningMethod> {
  const methods: Record<string, LongRunningMethod> = {};
  // The Operations service's own methods return an Operation and start none.
  const candidates = service.typeName === Operations.typeName ? [] : service.methods;
  for (const method of candidates) {
    if (isLongRunning(method)) methods[method.localName] = longRunning(method, { registry });
  }
  return methods;
}

/** Whether a method is unary and returns google.longrunning.Operation. */
export function isLongRunning(
  method: DescMethod,
): method is DescMethodUnary<DescMessage, OperationDesc> {
  return method.methodKind === "unary" && method.output.typeName === "google.longrunning.Operation";
}

/** The name of a method as gRPC writes it: `package.Service/Method`. */
export function fullName(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}

/**
 * The full names of the two types that a method's `operation_info` names; undefined
 * without that option, and empty where it names none. A name without a dot is in
 * the method's package (AIP-4210).
 */
export function operationInfoOf(
  method: DescMethod,
): { readonly response: string; readonly metadata: string } | undefined {
  if (!hasOption(method, operation_info)) return undefined;
  const { responseType, metadataType } = getOption(method, operation_info);
  const packageName = method.parent.file.proto.package;
  const qualify = (name: string) =>
    name === "" || name.includes(".") || packageName === "" ? name : `${packageName}.${name}`;
  return { response: qualify(responseType), metadata: qualify(metadataType) };
}

/** Look a message up by its full name in a file and in all that it imports. */
export function findMessage(file: DescFile, typeName: string): DescMessage | undefined {
  const seen = new Set<DescFile>();
  const search = (current: DescFile): DescMessage | undefined => {
    if (seen.has(current)) return undefined;
    seen.add(current);
    return (
      findIn(current.messages, typeName) ??
      current.dependencies.reduce<DescMessage | undefined>(
        (found, dependency) => found ?? search(dependency),
        undefined,
      )
    );
  };
  return search(file);
}

function findIn(messages: readonly DescMessage[], typeName: string): DescMessage | undefined {
  for (const message of messages) {
    if (message.typeName === typeName) return message;
    if (typeName.startsWith(`${message.typeName}.`)) {
      return findIn(message.nestedMessages, typeName);
    }
  }
  return undefined;
}
