import { create } from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { parseListName, parseOperationName } from "../operation/name.js";
import {
  type CancelOperationRequest,
  type DeleteOperationRequest,
  type GetOperationRequest,
  type ListOperationsRequest,
  type ListOperationsResponse,
  ListOperationsResponseSchema,
  type Operations,
} from "../protos.js";
import type { OperationRecord, OperationStore } from "../store/operation-store.js";
import { type Authorizer, type Caller, isVisibleTo, type OperationsAction } from "./authorize.js";
import type { endsWithCall } from "./ends-with-call.js";
import {
  cancelledByRequest,
  invalidField,
  operationNotDone,
  operationNotFound,
  partialSuccessUnsupported,
} from "./errors.js";
import { parseFilter } from "./filter/parse-filter.js";
import { createMethodHandler, type ResponseForms, withConnectErrors } from "./method-handler.js";
import type { Methods } from "./methods.js";
import {
  EncodedOperation,
  EncodedOperationList,
  type OperationView,
  operationForms,
  operationMessage,
} from "./operation-view.js";
import type { OperationWriter } from "./operation-writer.js";
import type { PageTokens } from "./page-token.js";
import { storedError } from "./stored-result.js";
import { createWaitOperation, type WaitOperationDeps } from "./wait-operation.js";

/** Dependencies of the service. */
export interface OperationsServiceDeps extends WaitOperationDeps {
  store: OperationStore;
  authorize: Authorizer;
  writer: Pick<OperationWriter, "write">;
  pageTokens: PageTokens;
  methods: Methods;
  /** How many bytes the operations of one page have at most. */
  maxPageBytes: number;
  /** Bounds how long a caller waits for a store that other processes share. */
  boundByCall: BoundByCall;
}

/** Makes a function of the store end with the call, as `endsWithCall` does. */
export type BoundByCall = typeof endsWithCall;

/** One page of a list. */
interface PageView {
  readonly operations: readonly OperationView[];
  readonly unreachable: readonly string[];
  readonly nextPageToken: string;
}

const pageForms: ResponseForms<PageView, ListOperationsResponse> = {
  toMessage: ({ operations, unreachable, nextPageToken }) =>
    create(ListOperationsResponseSchema, {
      operations: operations.map(operationMessage),
      unreachable: [...unreachable],
      nextPageToken,
    }),
  toWire: ({ operations, unreachable, nextPageToken }) =>
    new EncodedOperationList(
      operations.map((view) => new EncodedOperation(view)),
      nextPageToken,
      unreachable,
    ),
};

/** The properties of an `OperationsCall` that only a start has. */
const noStart = { method: undefined, request: undefined };

const defaultPageSize = 50;
const maxPageSize = 1000;

/** Makes the five methods of google.longrunning.Operations over a store. */
export function createOperationsService(
  deps: OperationsServiceDeps,
): ServiceImpl<typeof Operations> {
  const { store, writer, pageTokens, methods, toView, boundByCall } = deps;

  /** Authorizes, then validates: the order that does not reveal whether a name exists (AIP-211). */
  const authorizeAndValidate = async (
    action: OperationsAction,
    name: string,
    context: HandlerContext,
  ) => {
    const caller = await deps.authorize({ ...noStart, action, name, context });
    assertOperationName(name);
    return caller;
  };

  /** Returns the operation if it exists for the caller. */
  const find = async (name: string, caller: Caller): Promise<OperationRecord> => {
    const record = await store.get(name);
    if (record === undefined || !isVisibleTo(caller, record)) throw operationNotFound(name);
    return record;
  };

  const getOperation = async ({ name }: GetOperationRequest, context: HandlerContext) => {
    const caller = await authorizeAndValidate("get", name, context);
    return toView(await find(name, caller));
  };

  const listOperations = async (
    request: ListOperationsRequest,
    context: HandlerContext,
  ): Promise<PageView> => {
    const { principal, visiblePrincipal } = await deps.authorize({
      ...noStart,
      action: "list",
      name: parseListName(request.name) ?? request.name,
      context,
    });
    const { parent, pageSize } = readListRequest(request);
    const isPartial = request.returnPartialSuccess;
    if (isPartial && store.shardCount === undefined) throw partialSuccessUnsupported();
    if (isPartial && !parent.split("/").includes("-")) {
      throw invalidField("return_partial_success", "true", 'needs a "-" in the name (AIP-217)');
    }
    const filter = parseFilter(request.filter, methods.all(), visiblePrincipal === undefined);
    const { shardCount } = store;
    const list = { parent, filter: request.filter, principal, isPartial, shardCount };
    const after =
      request.pageToken === "" ? undefined : await pageTokens.open(request.pageToken, list);
    if (request.pageToken !== "" && after === undefined) {
      throw invalidField(
        "page_token",
        request.pageToken,
        "must be the next_page_token of the same list, with the same name, filter and caller",
      );
    }
    const page = await store.list({
      parent,
      principal: visiblePrincipal,
      filter,
      after,
      limit: pageSize,
      maxBytes: deps.maxPageBytes,
      isPartial,
    });
    return {
      operations: page.records.map(toView),
      unreachable: page.unreachable ?? [],
      nextPageToken: page.next === undefined ? "" : await pageTokens.seal(page.next, list),
    };
  };

  return {
    getOperation: createMethodHandler(
      "GetOperation",
      boundByCall(getOperation),
      operationForms,
      deps,
    ),
    listOperations: createMethodHandler(
      "ListOperations",
      boundByCall(listOperations),
      pageForms,
      deps,
    ),
    waitOperation: createWaitOperation(deps, async (name, context) => {
      const caller = await authorizeAndValidate("wait", name, context);
      // If every operation exists for the caller, the wait reads the record itself.
      if (caller.visiblePrincipal !== undefined) await find(name, caller);
    }),

    deleteOperation: withConnectErrors(
      "DeleteOperation",
      boundByCall(async ({ name }: DeleteOperationRequest, context) => {
        const found = await find(name, await authorizeAndValidate("delete", name, context));
        const onlyDone = methods.policyOf(found.method).deleteRunning === "refuse";
        const record = await writer.write(
          (transaction) => store.hide(name, { onlyDone, transaction }),
          ({ deleteTimeMicros }) => (deleteTimeMicros === undefined ? undefined : "deleted"),
          { found },
        );
        if (record === undefined) throw operationNotFound(name);
        if (record.deleteTimeMicros === undefined) throw operationNotDone(name);
        return create(EmptySchema);
      }),
      deps,
    ),

    cancelOperation: withConnectErrors(
      "CancelOperation",
      boundByCall(async ({ name }: CancelOperationRequest, context) => {
        const caller = await authorizeAndValidate("cancel", name, context);
        methods.assertCancellation();
        const found = await find(name, caller);
        methods.assertCancellable(found);
        if (found.state === "done") return create(EmptySchema);
        const graceMs = methods.policyOf(found.method).cancelGraceMs;
        const cancelled = storedError(cancelledByRequest());
        const record = await writer.write(
          (transaction) => store.requestCancel(name, cancelled, { graceMs, transaction }),
          ({ state }) => (state === "done" ? "done" : "cancel-requested"),
          { found },
        );
        if (record === undefined) throw operationNotFound(name);
        return create(EmptySchema);
      }),
      deps,
    ),
  };
}

function assertOperationName(name: string): void {
  if (parseOperationName(name) === undefined) {
    throw invalidField("name", name, 'must have the form "{parent/}operations/{id}"');
  }
}

function readListRequest(request: ListOperationsRequest): { parent: string; pageSize: number } {
  const parent = parseListName(request.name);
  if (parent === undefined) {
    throw invalidField("name", request.name, 'must be "{parent}", "{parent}/operations" or empty');
  }
  if (request.pageSize < 0) {
    throw invalidField("page_size", String(request.pageSize), "must not be negative");
  }
  const pageSize = Math.min(request.pageSize || defaultPageSize, maxPageSize);
  return { parent, pageSize };
}
