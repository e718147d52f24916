import type { CallOptions } from "@connectrpc/connect";
import { createOperationsClient, type OperationsClient } from "../client/index.js";
import { createPayloadTypes, type PayloadTypes } from "../display/payload-types.js";
import { styled } from "../display/style.js";
import { createReflectionLookup } from "../reflection/reflection-lookup.js";
import type { CommandContext } from "./command-context.js";
import { openConnection } from "./connection.js";
import { type Failure, failureOf, interruption } from "./failure.js";
import { readProtoSet } from "./proto-set.js";
import { defaultCallTimeoutMs, type ServerArguments } from "./server-command.js";

/** An open connection to a server, with everything that a sub-command needs for its calls. */
export interface ServerCall {
  readonly client: OperationsClient;
  readonly types: PayloadTypes;
  /** Aborts when the command is interrupted. */
  readonly signal: AbortSignal;
  /** For single calls: the signal and --timeout. */
  readonly callOptions: CallOptions;
}

/**
 * Connects to a server, runs a sub-command's work, and closes the connection. Errors are written
 * to standard error.
 *
 * @param name The name of the operation or the parent of the list.
 * @returns The exit code: the result of `work`, or the code of the error that it throws.
 */
export async function callServer(
  context: CommandContext,
  options: ServerArguments,
  name: string,
  work: (call: ServerCall) => Promise<number>,
): Promise<number> {
  const interrupted = new AbortController();
  const off = context.onSignal(() => interrupted.abort());
  const { signal } = interrupted;
  let close: () => void = () => undefined;
  try {
    const protoSet =
      options.protoSet === undefined ? undefined : await readProtoSet(options.protoSet);
    const connection = await openConnection(
      {
        ...options,
        ca: options.ca,
        headerCommand: options.headerCommand,
        insecure: options.insecure === true,
      },
      name,
      protoSet,
    );
    close = connection.close;
    const lookUp =
      options.protocol === "grpc"
        ? createReflectionLookup(connection.transport, signal).lookUp
        : undefined;
    return await work({
      client: createOperationsClient(connection.transport, { clock: context.clock }),
      types: createPayloadTypes(protoSet, lookUp),
      signal,
      callOptions: { signal, timeoutMs: options.timeout ?? defaultCallTimeoutMs },
    });
  } catch (error) {
    const failure = signal.aborted ? interruption(name) : failureOf(error, name);
    tellFailure(context, failure);
    return failure.exitCode;
  } finally {
    close();
    off();
  }
}

/** Writes an error and its remedy to standard error. */
export function tellFailure(
  { terminal: { err } }: CommandContext,
  { message, remedy }: Failure,
): void {
  err.write(`${styled(err, "red", "error:")} ${message}\n${remedy === "" ? "" : `  ${remedy}\n`}`);
}
