import type { HandlerRequest } from "../web/handler.js";
import { invalidHeader } from "./errors.js";

/** The length of each unit of Grpc-Timeout, in milliseconds. */
const grpcUnits: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/** The longest timeout that Connect's header can say, in milliseconds: some 115 days. */
const maxTimeoutMs = 9_999_999_999;

/**
 * Returns the caller's timeout, in whole milliseconds, rounded up: the shorter of
 * `X-Server-Timeout` (seconds, may be fractional) and `Grpc-Timeout`. Undefined without either.
 *
 * @throws ConnectError 400 for a header that is neither.
 */
export function callTimeoutMs(request: HandlerRequest): number | undefined {
  const serverMs = serverTimeoutMs(request);
  const grpcMs = grpcTimeoutMs(request);
  if (serverMs === undefined && grpcMs === undefined) return undefined;
  const shorterMs = Math.min(serverMs ?? maxTimeoutMs, grpcMs ?? maxTimeoutMs);
  return Math.min(maxTimeoutMs, Math.ceil(shorterMs));
}

function serverTimeoutMs(request: HandlerRequest): number | undefined {
  const value = request.headerOf("x-server-timeout");
  if (value === null) return undefined;
  if (/^\d{1,10}(\.\d{1,9})?$/.test(value)) return Number(value) * 1000;
  throw invalidHeader("X-Server-Timeout", value, "a number of seconds");
}

function grpcTimeoutMs(request: HandlerRequest): number | undefined {
  const value = request.headerOf("grpc-timeout");
  if (value === null) return undefined;
  const [, amount, unit = ""] = /^(\d{1,8})([HMSmun])$/.exec(value) ?? [];
  const unitMs = grpcUnits[unit];
  if (unitMs !== undefined) return Number(amount) * unitMs;
  throw invalidHeader("Grpc-Timeout", value, "up to eight digits and one of H, M, S, m, u, n");
}
