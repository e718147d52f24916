import type { DescMessage } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import {
  type BadRequest,
  BadRequestSchema,
  type DebugInfo,
  DebugInfoSchema,
  type ErrorInfo,
  ErrorInfoSchema,
  type Help,
  HelpSchema,
  type LocalizedMessage,
  LocalizedMessageSchema,
  type PreconditionFailure,
  PreconditionFailureSchema,
  type QuotaFailure,
  QuotaFailureSchema,
  type RequestInfo,
  RequestInfoSchema,
  type ResourceInfo,
  ResourceInfoSchema,
  type RetryInfo,
  RetryInfoSchema,
  type Status,
} from "../protos.js";
import { errorFromStatus } from "./status-error.js";

/**
 * The details of google/rpc/error_details.proto by name, undefined for a type that the error does not
 * have. AIP-193 permits each type once; of two details of one type, this is the first.
 */
export interface StandardDetails {
  /** The reason for machines: reason, domain and metadata. */
  errorInfo: ErrorInfo | undefined;
  /** The delay before a retry. */
  retryInfo: RetryInfo | undefined;
  debugInfo: DebugInfo | undefined;
  quotaFailure: QuotaFailure | undefined;
  preconditionFailure: PreconditionFailure | undefined;
  /** The invalid fields of the request. */
  badRequest: BadRequest | undefined;
  requestInfo: RequestInfo | undefined;
  /** The resource that the error is about. */
  resourceInfo: ResourceInfo | undefined;
  help: Help | undefined;
  localizedMessage: LocalizedMessage | undefined;
}

/**
 * Returns the standard details of an error or of a google.rpc.Status. Ignores details of other types
 * and malformed ones; `error.details` has them.
 *
 * @example
 * const { retryInfo, badRequest } = standardDetailsOf(error);
 */
export function standardDetailsOf(from: ConnectError | Status): StandardDetails {
  const error = from instanceof ConnectError ? from : errorFromStatus(from);
  const first = <Desc extends DescMessage>(desc: Desc) => error.findDetails(desc)[0];
  return {
    errorInfo: first(ErrorInfoSchema),
    retryInfo: first(RetryInfoSchema),
    debugInfo: first(DebugInfoSchema),
    quotaFailure: first(QuotaFailureSchema),
    preconditionFailure: first(PreconditionFailureSchema),
    badRequest: first(BadRequestSchema),
    requestInfo: first(RequestInfoSchema),
    resourceInfo: first(ResourceInfoSchema),
    help: first(HelpSchema),
    localizedMessage: first(LocalizedMessageSchema),
  };
}
