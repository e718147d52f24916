import { create, createFileRegistry } from "@bufbuild/protobuf";
import { EmptySchema, FileDescriptorProtoSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import {
  type LongRunningMethod,
  longRunning,
  type StartingMethod,
} from "../../src/operation/index.js";
import type { Health } from "../../src/protos.js";
import {
  FaultyService,
  PrintMetadataSchema,
  type PrintRequestSchema,
  PrintResponse_TraySchema,
  PrintResponseSchema,
  PrintService,
} from "../gen/printing/v1/printing_pb.js";

const printTypes = { response: PrintResponseSchema, metadata: PrintMetadataSchema };

describe("longRunning", () => {
  it("ties a method to its types, at run time and for the compiler", () => {
    // The annotation is the assertion: the compiler would refuse another type.
    const Print: LongRunningMethod<
      typeof PrintRequestSchema,
      typeof PrintResponseSchema,
      typeof PrintMetadataSchema
    > = longRunning(PrintService.method.print, printTypes);
    expect(Print).toEqual({ method: PrintService.method.print, ...printTypes });
  });

  it("gives one line of a compiler's error for a method that starts no operation", () => {
    // The annotation is the assertion: it is the parameter's type for such a method.
    const refused: StartingMethod<typeof Health.method.check> =
      "longRunning() takes a unary method that returns google.longrunning.Operation";
    expect(refused).toBeDefined();
  });

  it("resolves the types from the method's file and its imports when none are given", () => {
    expect(longRunning(PrintService.method.print)).toMatchObject(printTypes);
    const Clean = longRunning(PrintService.method.clean);
    expect(Clean.response).toBe(EmptySchema);
    expect(Clean.metadata).toBe(TimestampSchema);
    expect(longRunning(FaultyService.method.nested).response).toBe(PrintResponse_TraySchema);
  });

  it("refuses a type that operation_info does not name", () => {
    const swapped = { response: PrintMetadataSchema, metadata: PrintMetadataSchema };
    expect(() => longRunning(PrintService.method.print, swapped)).toThrow(
      'printing.v1.PrintService/Print: its operation_info names "printing.v1.PrintResponse" as ' +
        'response_type, not "printing.v1.PrintMetadata"',
    );
    const otherMetadata = { response: PrintResponseSchema, metadata: EmptySchema };
    expect(() => longRunning(PrintService.method.print, otherMetadata)).toThrow(TypeError);
  });

  it("server 5: refuses a method without operation_info", () => {
    expect(() => longRunning(FaultyService.method.bare, printTypes)).toThrow(
      "printing.v1.FaultyService/Bare has no google.longrunning.operation_info option",
    );
  });

  it("server 5: refuses a method whose operation_info lacks a type", () => {
    expect(() => longRunning(FaultyService.method.half, printTypes)).toThrow(
      "printing.v1.FaultyService/Half: its operation_info has no metadata_type",
    );
  });

  it("refuses a type that is found nowhere, and takes it from a registry", () => {
    expect(() => longRunning(FaultyService.method.unknown)).toThrow(
      'its response_type "elsewhere.v1.Thing" is unknown; import it in printing/v1/printing.proto',
    );
    const file = create(FileDescriptorProtoSchema, {
      name: "elsewhere/v1/thing.proto",
      package: "elsewhere.v1",
      syntax: "proto3",
      messageType: [{ name: "Thing" }],
    });
    const registry = createFileRegistry(file, () => undefined);
    const { response } = longRunning(FaultyService.method.unknown, { registry });
    expect(response.typeName).toBe("elsewhere.v1.Thing");
  });
});
