/**
 * The code that a user of the generated code writes: a server and a client, in one
 * process. It is compiled and run in a project that has installed the package, against
 * the code that the plugin generates there; here its types come from the golden files.
 */
import type { MessageShape } from "@bufbuild/protobuf";
import { createRouterTransport } from "@connectrpc/connect";
import { createLongRunningClient } from "connect-longrunning";
import { Operations } from "connect-longrunning/protos";
import { createOperations } from "connect-longrunning/server";
import type { Paper_Stack } from "../golden/ts/gen/press/v1/paper_pb.js";
import {
  BinderService_constructor$,
  BinderService_print,
  BinderServiceLongRunning,
  PressService_delete,
  PressService_print,
  PressServiceLongRunning,
} from "../golden/ts/gen/press/v1/press_longrunning.js";
import {
  BinderService,
  PressService,
  type PrintMetadata,
  type PrintMetadata_Page,
  type PrintRequestSchema,
  type PrintResponse,
} from "../golden/ts/gen/press/v1/press_pb.js";

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Same<A, B>): void {}

const operations = createOperations({ reportIntervalMs: 1 });

const transport = createRouterTransport((router) => {
  router.service(Operations, operations.service);
  router.service(PressService, {
    print: operations.handle(PressService_print, async (op) => {
      same<typeof op.request, MessageShape<typeof PrintRequestSchema>>(true);
      op.report({ pagesPrinted: op.request.pages });
      return { pages: op.request.pages };
    }),
    delete: operations.handle(PressServiceLongRunning.delete, async (op) => {
      op.report({ reason: "JAMMED", domain: "press" });
      return {};
    }),
  });
  router.service(BinderService, {
    print: operations.handle(BinderService_print, async (op) => {
      op.report({ number: op.request.pages });
      return { sheets: op.request.pages * 2 };
    }),
    constructor$: operations.handle(BinderService_constructor$, async () => ({ pages: 1 })),
  });
});

const press = createLongRunningClient(PressServiceLongRunning, transport);
const binder = createLongRunningClient(BinderServiceLongRunning, transport);

const printing = await press.print({ pages: 3 });
const printed = await printing.result();
same<typeof printed, PrintResponse>(true);
same<typeof printing.snapshot.metadata, PrintMetadata | undefined>(true);

const deleting = await press.delete({});
const { $typeName: deleted } = await deleting.result();

const binding = await binder.print({ pages: 4 });
const bound = await binding.result();
same<typeof bound, Paper_Stack>(true);
same<typeof binding.snapshot.metadata, PrintMetadata_Page | undefined>(true);

const built = await (await binder.constructor$({})).result();

// Compiled and never run: the compiler must refuse these lines.
export function refused() {
  // @ts-expect-error: it is not long-running.
  press.getDocument({});
  // @ts-expect-error: the response has no such field.
  operations.handle(PressService_delete, async () => ({ pages: 1 }));
  // @ts-expect-error: the metadata has no such field.
  operations.handle(BinderService_print, async (op) => op.report({ pagesPrinted: 1 }));
}

await operations.shutdown();

console.log(
  JSON.stringify({
    printed: printed.pages,
    pagesPrinted: printing.snapshot.metadata?.pagesPrinted,
    deleted,
    reason: deleting.snapshot.metadata?.reason,
    bound: bound.sheets,
    number: binding.snapshot.metadata?.number,
    built: built.pages,
  }),
);
