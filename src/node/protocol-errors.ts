import { Code, ConnectError } from "@connectrpc/connect";

// The errors of malformed unary calls, with the messages of Connect's handlers and transports.
// `input` or `output` names the message that the error is about.

export function incompleteMessage(): ConnectError {
  return new ConnectError("protocol error: incomplete envelope", Code.InvalidArgument);
}

export function missingMessage(
  side: "input" | "output",
  code: Code = Code.Unimplemented,
): ConnectError {
  return new ConnectError(`protocol error: missing ${side} message for unary method`, code);
}

export function extraMessage(side: "input" | "output"): ConnectError {
  const message = `protocol error: received extra ${side} message for unary method`;
  return new ConnectError(message, Code.Unimplemented);
}

export function noCompression(): ConnectError {
  const message = "received compressed envelope, but do not know how to decompress";
  return new ConnectError(message, Code.Internal);
}
