// Responses that a client's own transport cannot read.
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { unregisteredType } from "./errors.js";

/** The error of Protobuf-ES for an Any in JSON that it cannot decode because its registry lacks the type. */
const unregisteredText = /from JSON: (\S+) is not in the type registry/;

/** Wraps a transport; a response in JSON with a payload of an unknown type fails with that type. */
export function withTypeErrors(transport: Transport): Transport {
  return {
    async unary(...call) {
      try {
        return await transport.unary(...call);
      } catch (error) {
        const typeUrl = unregisteredTypeOf(error);
        throw typeUrl === undefined
          ? error
          : unregisteredType(typeUrl, ConnectError.from(error).cause);
      }
    },
    stream: (...call) => transport.stream(...call),
  };
}

/**
 * Whether the client's own transport could not read the response: it was larger than `readMaxBytes`,
 * or had a payload in JSON of a type that the registry lacks. Another response would fail too.
 */
export function isUnreadableHere(error: ConnectError): boolean {
  // Connect's transports show a response that is too large only in the message.
  const isTooLarge =
    error.code === Code.ResourceExhausted && error.rawMessage.includes("readMaxBytes");
  return isTooLarge || unregisteredTypeOf(error) !== undefined;
}

/** The URL of the type. An error that a server sent has no cause. */
function unregisteredTypeOf(error: unknown): string | undefined {
  const cause = error instanceof ConnectError ? error.cause : undefined;
  return cause instanceof Error ? unregisteredText.exec(cause.message)?.[1] : undefined;
}
