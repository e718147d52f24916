import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { ContextValues, HandlerContext } from "@connectrpc/connect";
import { sharedAccessor } from "./shared-accessor.js";

/** The parts of a context that are made when they are first read. */
export interface ContextParts {
  signal(): AbortSignal;
  values(): ContextValues;
  requestHeader(): Headers;
  responseHeader(): Headers;
  responseTrailer(): Headers;
  url(): string;
}

const parts = Symbol("parts");

/**
 * Connect's HandlerContext, whose expensive parts most handlers never read. They are
 * properties of the object itself, so that `{ ...context }` has them as well.
 */
export class DirectContext implements HandlerContext {
  declare readonly signal: AbortSignal;
  declare readonly requestHeader: Headers;
  declare readonly responseHeader: Headers;
  declare readonly responseTrailer: Headers;
  declare readonly values: ContextValues;
  declare readonly url: string;
  readonly method: DescMethod;
  readonly service: DescService;
  readonly requestMethod = "POST";
  readonly [parts]: ContextParts;

  constructor(
    method: DescMethod,
    readonly protocolName: string,
    lazyParts: ContextParts,
    readonly timeoutMs: () => number | undefined,
  ) {
    this.method = method;
    this.service = method.parent;
    this[parts] = lazyParts;
    // Each property is defined by a separate call, which takes half the time of
    // Object.defineProperties.
    Object.defineProperty(this, "signal", signal);
    Object.defineProperty(this, "values", values);
    Object.defineProperty(this, "requestHeader", requestHeader);
    Object.defineProperty(this, "responseHeader", responseHeader);
    Object.defineProperty(this, "responseTrailer", responseTrailer);
    Object.defineProperty(this, "url", url);
  }
}

const signal = sharedAccessor((context: DirectContext) => context[parts].signal());
const values = sharedAccessor((context: DirectContext) => context[parts].values());
const requestHeader = sharedAccessor((context: DirectContext) => context[parts].requestHeader());
const responseHeader = sharedAccessor((context: DirectContext) => context[parts].responseHeader());
const responseTrailer = sharedAccessor((context: DirectContext) =>
  context[parts].responseTrailer(),
);
const url = sharedAccessor((context: DirectContext) => context[parts].url());
