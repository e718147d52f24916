import { Code, type ConnectError } from "@connectrpc/connect";
import { truncateForError } from "../internal/truncate-for-error.js";
import { BadRequestSchema, ResourceInfoSchema } from "../protos.js";
import { errorWithInfo, retryDetail } from "../status/error-info.js";

/** Returns NOT_FOUND for a service whose health the program has not set (health.proto, Check). */
export function serviceUnknown(service: string): ConnectError {
  return errorWithInfo(
    Code.NotFound,
    `the service "${truncateForError(service)}" is not known here`,
    {
      reason: "SERVICE_UNKNOWN",
      metadata: { service: truncateForError(service) },
      details: [
        {
          desc: ResourceInfoSchema,
          value: { resourceType: "service", resourceName: truncateForError(service) },
        },
      ],
    },
  );
}

/** Returns INVALID_ARGUMENT for a service name that exceeds the maximum length. */
export function serviceNameTooLong(service: string, maxLength: number): ConnectError {
  const description = `service must have at most ${maxLength} characters`;
  return errorWithInfo(Code.InvalidArgument, description, {
    reason: "INVALID_FIELD",
    metadata: { field: "service", value: truncateForError(service) },
    details: [
      { desc: BadRequestSchema, value: { fieldViolations: [{ field: "service", description }] } },
    ],
  });
}

/** Returns RESOURCE_EXHAUSTED for a list of more services than health.proto allows. */
export function tooManyServices(maxServices: number): ConnectError {
  return errorWithInfo(Code.ResourceExhausted, `there are more than ${maxServices} services`, {
    reason: "TOO_MANY_SERVICES",
    metadata: { maxServices: String(maxServices) },
  });
}

/** Returns RESOURCE_EXHAUSTED if the limit of watches is reached. */
export function tooManyWatches(maxWatches: number): ConnectError {
  return errorWithInfo(Code.ResourceExhausted, `there are ${maxWatches} watches already`, {
    reason: "TOO_MANY_WATCHES",
    metadata: { maxWatches: String(maxWatches) },
    details: [retryDetail(10_000)],
  });
}

/** Returns UNAVAILABLE: how a watch ends when the server closes. */
export function watchClosed(): ConnectError {
  return errorWithInfo(Code.Unavailable, "the server is shutting down", {
    reason: "DRAINING",
    details: [retryDetail(1000)],
  });
}
