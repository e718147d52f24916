import { longRunning } from "../../src/index.js";
import {
  PrintMetadataSchema,
  PrintResponseSchema,
  PrintService,
} from "../../test/gen/printing/v1/printing_pb.js";

/** A long-running method. Here its "pages" are how many milliseconds it lasts. */
export const Print = longRunning(PrintService.method.print, {
  response: PrintResponseSchema,
  metadata: PrintMetadataSchema,
});

/** Where all operations are. */
export const parent = "printers/p";
