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
 * The details of google/rpc/error_details.proto, each by its name and undefined
 * where the error has none. AIP-193 lets each type occur at most once; where a
 * server sent two, the first stands here.
 */
export interface StandardDetails {
  /** Why, for machines: reason, domain, metadata. */
  errorInfo: ErrorInfo | undefined;
  /** When to try again. */
  retryInfo: RetryInfo | undefined;
  debugInfo: DebugInfo | undefined;
  quotaFailure: QuotaFailure | undefined;
  preconditionFailure: PreconditionFailure | undefined;
  /** Which fields of the request are at fault. */
  badRequest: BadRequest | undefined;
  requestInfo: RequestInfo | undefined;
  /** Which resource is meant. */
  resourceInfo: ResourceInfo | undefined;
  help: Help | undefined;
  localizedMessage: LocalizedMessage | undefined;
}

/**
 * Read the standard details of an error or of a google.rpc.Status. Details of
 * other types, and those whose bytes cannot be read, are passed over: they stay
 * in `error.details`.
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
