import type { CallOptions } from "@connectrpc/connect";
import type { ListOperationsResponse, Operation } from "../protos.js";
import { repeatedPageToken } from "./errors.js";
import type { Filter } from "./filter.js";
import type { OperationCalls } from "./operation-calls.js";

/**
 * Fields of google.longrunning.ListOperationsRequest. The server decides about those that are left
 * out.
 */
export interface ListRequest {
  /**
   * The parent, as `{parent}` or `{parent}/operations`, depending on the service; empty or
   * `operations` for a service whose operations have no parent. Default: empty.
   */
  name?: string | undefined;
  /** Filter (AIP-160); the `filter` tag quotes and escapes values. Default: no filter. */
  filter?: string | Filter | undefined;
  /** Most operations in a page; a server may return fewer. Default: the server's. */
  pageSize?: number | undefined;
  /** First page: a page token of the same list with the same filter. Default: the list's start. */
  pageToken?: string | undefined;
  /**
   * Whether a page names unreachable places in `unreachable` instead of failing the call (AIP-217). A
   * server may refuse it. Default: false.
   */
  returnPartialSuccess?: boolean | undefined;
}

/**
 * The operations of a list. They are read lazily: the client requests a page only when it is
 * needed, and `break` ends the requests. Only an empty page token ends the list; a page may be
 * empty. Each iteration lists anew.
 *
 * The iteration throws the ConnectError of the call that failed. It throws INTERNAL, reason
 * `REPEATED_PAGE_TOKEN`, if the server returns a page token twice.
 */
export interface OperationList extends AsyncIterable<Operation> {
  /**
   * The token of the page that the latest iteration yields or failed at, empty for the first page.
   * `list({ ...request, pageToken })` continues there and yields that page again. Undefined after the
   * last page.
   */
  readonly pageToken: string | undefined;
  /** Iterates over the pages as the server sends them, with their `unreachable`. */
  pages(): AsyncIterable<ListOperationsResponse>;
}

/** @internal */
export function createOperationList(
  calls: OperationCalls,
  request: ListRequest,
  options: CallOptions | undefined,
): OperationList {
  // The request is copied because the caller may change it between two pages.
  const fixed = { ...request };
  let pageToken: string | undefined = fixed.pageToken ?? "";
  const pages = async function* () {
    yield* walkPages(fixed, (page) => {
      pageToken = page.pageToken;
      return calls.rpc.listOperations(page, options);
    });
    pageToken = undefined;
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

/** The request for one page of a list. */
export interface PageRequest extends ListRequest {
  readonly name: string;
  readonly filter: string;
  readonly pageToken: string;
}

/**
 * Iterates over the pages of a list until the empty page token (AIP-158).
 *
 * @internal
 * @param fetch Requests one page.
 */
export async function* walkPages(
  request: ListRequest,
  fetch: (page: PageRequest) => Promise<ListOperationsResponse>,
): AsyncGenerator<ListOperationsResponse, void> {
  const { name = "", filter = "" } = request;
  const asked = new Set<string>();
  let { pageToken = "" } = request;
  do {
    // A token is a position in the list, so a list that repeats one has no end.
    if (asked.has(pageToken)) throw repeatedPageToken(pageToken);
    asked.add(pageToken);
    const page = await fetch({ ...request, name, filter: String(filter), pageToken });
    yield page;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
}
