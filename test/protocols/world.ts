import type { JsonValue } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import type { Clock } from "../../src/index.js";
import { BadRequestSchema, ErrorInfoSchema, Operations } from "../../src/protos.js";
import {
  createOperations,
  type OperationsEvent,
  type OperationsServer,
  type RunningOperation,
} from "../../src/server/index.js";
import {
  type PrintMetadataSchema,
  type PrintRequestSchema,
  PrintService,
} from "../gen/printing/v1/printing_pb.js";
import { Print } from "../support/print-server.js";
import { createWatchedSignals, type WatchedSignals } from "./watched-signals.js";
import type { Wire } from "./wires.js";

/** One operations server with a client at the other end of a wire, for a case. */
export interface World {
  readonly operations: OperationsServer;
  readonly signals: WatchedSignals;
  readonly transport: Transport;
  readonly rpc: Client<typeof Operations>;
  readonly printer: Client<typeof PrintService>;
  /** Replaces the work of `Print`. */
  serve(work: PrintWork): void;
  /** Start an operation of "printers/p" that is driven from outside, and return its name. */
  create(parent?: string): Promise<string>;
  /** Replaces this text by `label` in observations. */
  hide(text: string, label: string): void;
  /** An observation without what differs from run to run: ids become op-1, op-2 and so on. */
  masked(observed: JsonValue): JsonValue;
  /** Close all, and return what the server's log hook heard. */
  close(): Promise<OperationsEvent[]>;
}

type PrintWork = (
  operation: RunningOperation<typeof PrintRequestSchema, typeof PrintMetadataSchema>,
) => Promise<{ pages: number }>;

/** UUIDv7, the form that design.md gives the ids of operations. */
const idPattern = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/g;

/** A world whose server goes by `clock`; default: the machine's. */
export async function openWorld(wire: Wire, clock?: Clock): Promise<World> {
  const events: OperationsEvent[] = [];
  const signals = createWatchedSignals();
  const operations = createOperations({ signals, clock, log: (event) => events.push(event) });
  const labels = new Map<string, string>();
  const ids: string[] = [];
  let work: PrintWork = async () => ({ pages: 0 });

  const labelOf = (id: string) => {
    if (!ids.includes(id)) ids.push(id);
    return `op-${ids.indexOf(id) + 1}`;
  };
  const print = operations.handle(Print, (operation) => work(operation), {
    validate({ pages }) {
      if (pages < 0) throw negativePages();
    },
  });
  const connection = await wire.open((router) => {
    router.service(Operations, operations.service);
    router.service(PrintService, { print });
  });

  return {
    operations,
    signals,
    transport: connection.transport,
    rpc: createClient(Operations, connection.transport),
    printer: createClient(PrintService, connection.transport),
    serve(next) {
      work = next;
    },
    async create(parent = "printers/p") {
      const { name } = await operations.create(Print, { parent });
      name.replace(idPattern, labelOf);
      return name;
    },
    hide: (text, label) => void labels.set(text, label),
    masked(observed) {
      let text = JSON.stringify(observed);
      for (const [hidden, label] of labels) text = text.replaceAll(hidden, label);
      return JSON.parse(text.replace(idPattern, labelOf));
    },
    async close() {
      await connection.close();
      await operations.shutdown({ graceMs: 1000 });
      return events;
    },
  };
}

function negativePages(): ConnectError {
  const violation = { field: "pages", description: "pages must not be negative" };
  const info = { reason: "NEGATIVE_PAGES", domain: "printing.example.com" };
  return new ConnectError("pages must not be negative", Code.InvalidArgument, undefined, [
    { desc: ErrorInfoSchema, value: info },
    { desc: BadRequestSchema, value: { fieldViolations: [violation] } },
  ]);
}
