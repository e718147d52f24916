import { type CallOptions, Code, type ConnectError } from "@connectrpc/connect";
import type { ListOperationsResponse, Operation } from "../protos.js";
import { errorWithInfo } from "../status/error-info.js";
import type { Filter } from "./filter.js";
import type { OperationCalls } from "./operation-calls.js";

/**
 * Which operations to list, as google.longrunning.ListOperationsRequest says it. What is
 * left out is the server's to decide.
 */
export interface ListRequest {
  /**
   * The parent, as `{parent}` or `{parent}/operations`, depending on the service;
   * empty or `operations` where operations have none. Default: empty.
   */
  name?: string | undefined;
  /** Which ones (AIP-160); the `filter` tag puts values in safely. Default: all. */
  filter?: string | Filter | undefined;
  /** Most operations in one page; a server may send fewer. Default: the server's. */
  pageSize?: number | undefined;
  /** Where to begin: a token of the same list, with the same filter. Default: at its start. */
  pageToken?: string | undefined;
  /**
   * Whether places that cannot be reached are named in the page's `unreachable`,
   * instead of failing the call (AIP-217); a server may refuse it. Default: false.
   */
  returnPartialSuccess?: boolean | undefined;
}

/**
 * The operations of a list, walked lazily: no page is asked for before it is
 * needed, and `break` asks for no more. Only an empty page token is the end; an
 * empty page is not. Iterating it twice lists twice.
 *
 * The iteration throws the ConnectError of the call that failed, and one with
 * `Code.Internal`, reason `REPEATED_PAGE_TOKEN`, for a server that would send the
 * walk round in a circle.
 */
export interface OperationList extends AsyncIterable<Operation> {
  /**
   * Where the latest walk stands: the token of the page that it is giving out or that it
   * failed at, empty for the first one. `list({ ...request, pageToken })` goes on
   * from there, which shows that page again and loses nothing. Undefined once the walk
   * has come to the end.
   */
  readonly pageToken: string | undefined;
  /** Page by page, as the server sends them, with what was `unreachable`. */
  pages(): AsyncIterable<ListOperationsResponse>;
}

/** @internal */
export function createOperationList(
  calls: OperationCalls,
  request: ListRequest,
  options: CallOptions | undefined,
): OperationList {
  // All pages are asked for alike, whatever the caller does with the request later.
  const fixed = { ...request };
  const first = fixed.pageToken ?? "";
  let pageToken: string | undefined = first;
  const pages = async function* () {
    pageToken = first;
    const walk = walkPages(fixed, (page) => calls.rpc.listOperations(page, options));
    for await (const page of walk) {
      yield page;
      pageToken = page.nextPageToken || undefined;
    }
  };
  return {
    get pageToken() {
      return pageToken;
    },
    pages,
    async *[Symbol.asyncIterator]() {
      for await (const page of pages()) yield* page.operations;
    },
  };
}

/** One page of a list, to be asked for. */
export interface PageRequest extends ListRequest {
  readonly name: string;
  readonly filter: string;
  readonly pageToken: string;
}

/**
 * The pages of a list up to the empty token, the only sign of the end (AIP-158).
 *
 * @internal
 * @param fetch Asks for one page.
 */
export async function* walkPages(
  request: ListRequest,
  fetch: (page: PageRequest) => Promise<ListOperationsResponse>,
): AsyncGenerator<ListOperationsResponse, void> {
  const { name = "", filter = "" } = request;
  const asked = new Set<string>();
  let { pageToken = "" } = request;
  do {
    // A token stands for a place in the list, so one that comes again comes for ever.
    if (asked.has(pageToken)) throw repeatedPageToken(pageToken);
    asked.add(pageToken);
    const page = await fetch({ ...request, name, filter: String(filter), pageToken });
    yield page;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
}

function repeatedPageToken(pageToken: string): ConnectError {
  return errorWithInfo(
    Code.Internal,
    `the server gave the page token "${pageToken}" a second time, so that its list has no end`,
    { reason: "REPEATED_PAGE_TOKEN", metadata: { pageToken } },
  );
}
