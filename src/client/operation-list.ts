import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CallOptions } from "@connectrpc/connect";
import type { ListOperationsRequestSchema, ListOperationsResponse, Operation } from "../protos.js";
import { type OperationCalls, routed } from "./operation-calls.js";

/** Which operations to list, as in google.longrunning.ListOperationsRequest; all may be left out. */
export type ListRequest = MessageInitShape<typeof ListOperationsRequestSchema>;

/**
 * The operations of a list, walked lazily: no page is asked for before it is
 * needed, and `break` asks for no more. Only an empty page token is the end; an
 * empty page is not. Iterating it twice lists twice.
 */
export interface OperationList extends AsyncIterable<Operation> {
  /** Page by page, as the server sends them. */
  pages(): AsyncIterable<ListOperationsResponse>;
}

/** @internal */
export function createOperationList(
  calls: OperationCalls,
  request: ListRequest,
  options: CallOptions | undefined,
): OperationList {
  const pages = async function* () {
    let { pageToken = "" } = request;
    do {
      const page = await calls.rpc.listOperations(
        { ...request, pageToken },
        routed(request.name ?? "", options),
      );
      yield page;
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
  };
  return {
    pages,
    async *[Symbol.asyncIterator]() {
      for await (const page of pages()) yield* page.operations;
    },
  };
}
