import { create } from "@bufbuild/protobuf";
import { createRouterTransport, type Transport } from "@connectrpc/connect";
import { pack } from "../../src/index.js";
import { type Operation, OperationSchema, Operations } from "../../src/protos.js";
import {
  PrintMetadataSchema,
  PrintResponseSchema,
  PrintService,
} from "../../test/gen/printing/v1/printing_pb.js";

/** A server in this process that does almost nothing, so that the cost is the client's. */
export interface PendingServer {
  readonly transport: Transport;
  /** A new operation's name. */
  start(): string;
  /** Ends all operations. */
  end(): void;
}

export function createPendingServer(): PendingServer {
  const metadata = pack(PrintMetadataSchema, { pagesPrinted: 1 });
  const response = pack(PrintResponseSchema, { pages: 2 });
  const ends = new Map<string, { promise: Promise<Operation>; end: () => void }>();
  const start = () => {
    const name = `operations/${ends.size}`;
    let end = () => {};
    const promise = new Promise<Operation>((resolve) => {
      const result = { case: "response", value: response } as const;
      end = () => resolve(create(OperationSchema, { name, metadata, done: true, result }));
    });
    ends.set(name, { promise, end });
    return name;
  };
  const transport = createRouterTransport(({ service }) => {
    service(PrintService, { print: () => ({ name: start(), metadata }) });
    service(Operations, {
      waitOperation: ({ name }) => ends.get(name)?.promise ?? { name },
    });
  });
  return {
    transport,
    start,
    end() {
      for (const { end } of ends.values()) end();
    },
  };
}
