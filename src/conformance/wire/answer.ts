import type { DescMessage, JsonValue, Message } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { codeName } from "../../status/code.js";
import type { RawResponse } from "./raw-exchange.js";

/** The protocols that the suite speaks. */
export const protocols = ["grpc", "grpc-web", "connect", "connect-json", "rest"] as const;
export type Protocol = (typeof protocols)[number];

/** A unary call, before it is encoded. */
export interface WireCall {
  /** Full name of the service. */
  readonly service: string;
  readonly method: string;
  readonly input: DescMessage;
  readonly output: DescMessage;
  readonly request: Message;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Deadline that the call announces to the server, in milliseconds. Undefined: none. */
  readonly deadlineMs: number | undefined;
  readonly signal: AbortSignal;
  readonly isolated: boolean;
}

/** A request that was sent and its response, as they crossed the wire. */
export interface Sent {
  /** HTTP method and URL. */
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array | undefined;
  readonly response: RawResponse | undefined;
}

/** The result of a call, with everything that a Connect client would hide. */
export interface WireAnswer {
  readonly sent: Sent;
  /** Message of a successful call. */
  readonly message: Message | undefined;
  /** The message's bytes as received; undefined over JSON. */
  readonly bytes: Uint8Array | undefined;
  /** The message's JSON as received; undefined over binary protocols. */
  readonly json: JsonValue | undefined;
  /** Status of a failed call. */
  readonly status: WireStatus | undefined;
}

/** A status other than OK. */
export interface WireStatus {
  /**
   * Codes of google.rpc.Code that the status may stand for: one over RPC, several for an HTTP
   * status alone, none if the code is not canonical.
   */
  readonly codes: readonly number[];
  /** The code as received, such as `grpc-status: 99`. */
  readonly raw: string;
  readonly message: string;
  readonly details: readonly Any[];
  /** Code within `grpc-status-details-bin`; undefined without that trailer. */
  readonly trailerCode: number | undefined;
}

/** Sends calls in one protocol. */
export interface Caller {
  readonly protocol: Protocol;
  /** Returns undefined if the protocol has no binding for the method. */
  send(call: WireCall): Promise<WireAnswer> | undefined;
}

/** The response breaks the protocol itself. */
export class MalformedResponse extends Error {
  constructor(
    message: string,
    readonly sent: Sent,
  ) {
    super(message);
  }
}

/** Returns the names of a status's possible codes, for reports. */
export function statusName({ codes, raw }: WireStatus): string {
  return codes.length === 0 ? raw : codes.map((code) => codeName(code)).join(" or ");
}
