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
import { type AnswerForms, inBothForms } from "./both-forms.js";
import type { endsWithCall } from "./ends-with-call.js";
import {
  cancelledByRequest,
  invalidField,
  operationNotDone,
  operationNotFound,
  partialSuccessUnsupported,
} from "./errors.js";
import { parseFilter } from "./filter/parse-filter.js";
import { guarded } from "./guarded.js";
import type { KnownMethods } from "./known-methods.js";
import type { MethodPolicies } from "./method-policies.js";
import { operationMessage, type ShownOperation } from "./operation-message.js";
import { OperationListWire, OperationWire, operationForms } from "./operation-wire.js";
import type { PageTokens } from "./page-token.js";
import { storedError } from "./stored-result.js";
import { createWaitOperation, type WaitOperationParts } from "./wait-operation.js";
import type { WriteAndPublish } from "./write-and-publish.js";

/** What the service stands on. */
export interface OperationsServiceParts extends WaitOperationParts {
  store: OperationStore;
  authorize: Authorizer;
  writeAndPublish: WriteAndPublish;
  pageTokens: PageTokens;
  policies: MethodPolicies;
  /** Whose metadata and response types filters can look into. */
  knownMethods: KnownMethods;
  /** Bounds how long a caller waits for a store that other processes share. */
  boundByCall: BoundByCall;
}

/** Makes a function of a call end with the call; see `endsWithCall`. */
export type BoundByCall = typeof endsWithCall;

/** One page as it is answered. */
interface ShownPage {
  readonly operations: readonly ShownOperation[];
  readonly nextPageToken: string;
}

const pageForms: AnswerForms<ShownPage, ListOperationsResponse> = {
  toMessage: ({ operations, nextPageToken }) =>
    create(ListOperationsResponseSchema, {
      operations: operations.map(operationMessage),
      nextPageToken,
    }),
  toWire: ({ operations, nextPageToken }) =>
    new OperationListWire(
      operations.map((shown) => new OperationWire(shown)),
      nextPageToken,
    ),
};

const defaultPageSize = 50;
const maxPageSize = 1000;

/** The five methods of google.longrunning.Operations over a store. */
export function createOperationsService(
  parts: OperationsServiceParts,
): ServiceImpl<typeof Operations> {
  const { store, writeAndPublish, pageTokens, policies, showRecord, boundByCall, log } = parts;

  /** Authorise, then validate: the order that shows nobody what exists (AIP-211). */
  const admit = async (action: OperationsAction, name: string, context: HandlerContext) => {
    const caller = await parts.authorize({ action, name, method: undefined, context });
    assertOperationName(name);
    return caller;
  };

  /** The operation, if it exists for the caller. */
  const find = async (name: string, caller: Caller): Promise<OperationRecord> => {
    const record = await store.get(name);
    if (record === undefined || !isVisibleTo(caller, record)) throw operationNotFound(name);
    return record;
  };

  const getOperation = async ({ name }: GetOperationRequest, context: HandlerContext) => {
    const caller = await admit("get", name, context);
    return showRecord(await find(name, caller));
  };

  const listOperations = async (
    request: ListOperationsRequest,
    context: HandlerContext,
  ): Promise<ShownPage> => {
    const { principal, visiblePrincipal } = await parts.authorize({
      action: "list",
      name: parseListName(request.name) ?? request.name,
      method: undefined,
      context,
    });
    const { parent, pageSize } = readListRequest(request);
    const filter = parseFilter(request.filter, parts.knownMethods.all());
    const list = { parent, filter: request.filter, principal };
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
    });
    return {
      operations: page.records.map(showRecord),
      nextPageToken: page.next === undefined ? "" : await pageTokens.seal(page.next, list),
    };
  };

  return {
    getOperation: inBothForms("GetOperation", boundByCall(getOperation), operationForms, log),
    listOperations: inBothForms("ListOperations", boundByCall(listOperations), pageForms, log),
    waitOperation: createWaitOperation(parts, async (name, context) => {
      const caller = await admit("wait", name, context);
      // Spares the look where every operation exists for the caller.
      if (caller.visiblePrincipal !== undefined) await find(name, caller);
    }),

    deleteOperation: guarded(
      "DeleteOperation",
      boundByCall(async ({ name }: DeleteOperationRequest, context) => {
        const found = await find(name, await admit("delete", name, context));
        const onlyDone = policies.of(found.method).deleteRunning === "refuse";
        const record = await writeAndPublish(
          (transaction) => store.hide(name, { onlyDone, transaction }),
          ({ deleteTimeMicros }) => (deleteTimeMicros === undefined ? undefined : "deleted"),
          { found },
        );
        if (record === undefined) throw operationNotFound(name);
        if (record.deleteTimeMicros === undefined) throw operationNotDone(name);
        return create(EmptySchema);
      }),
      log,
    ),

    cancelOperation: guarded(
      "CancelOperation",
      boundByCall(async ({ name }: CancelOperationRequest, context) => {
        const caller = await admit("cancel", name, context);
        policies.assertCancellation();
        const found = await find(name, caller);
        policies.assertCancellable(found);
        if (found.state === "done") return create(EmptySchema);
        const graceMs = policies.of(found.method).cancelGraceMs;
        const cancelled = storedError(cancelledByRequest());
        const record = await writeAndPublish(
          (transaction) => store.requestCancel(name, cancelled, { graceMs, transaction }),
          ({ state }) => (state === "done" ? "done" : "cancel-requested"),
          { found },
        );
        if (record === undefined) throw operationNotFound(name);
        return create(EmptySchema);
      }),
      log,
    ),
  };
}

function assertOperationName(name: string): void {
  if (parseOperationName(name) === undefined) {
    throw invalidField("name", name, 'must have the form "{parent/}operations/{id}"');
  }
}

function readListRequest(request: ListOperationsRequest): { parent: string; pageSize: number } {
  if (request.returnPartialSuccess) throw partialSuccessUnsupported();
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
