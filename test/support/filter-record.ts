import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { longRunning, pack } from "../../src/index.js";
import { StatusSchema } from "../../src/protos.js";
import type { FilterableRecord } from "../../src/store/index.js";
import {
  BakeMetadataSchema,
  BakeResponseSchema,
  FilterService,
  ShipMetadataSchema,
  ShipResponseSchema,
} from "../gen/filters/v1/filters_pb.js";

/** A method whose metadata has fields of every kind. */
export const Bake = longRunning(FilterService.method.bake, {
  response: BakeResponseSchema,
  metadata: BakeMetadataSchema,
});

/** A method whose metadata has the standard fields. */
export const Ship = longRunning(FilterService.method.ship, {
  response: ShipResponseSchema,
  metadata: ShipMetadataSchema,
});

export const filterMethods = [Bake, Ship];

/** The microseconds of 2026-01-02T03:04:05Z, when the records were made. */
export const createTimeMicros = Date.UTC(2026, 0, 2, 3, 4, 5) * 1000;

/** A running record of `Bake` without metadata; a test spells out only what it is about. */
export function aRecord(init: Partial<FilterableRecord> = {}): FilterableRecord {
  return {
    name: "bakeries/7/operations/0190-abc",
    method: "filters.v1.FilterService/Bake",
    principal: "",
    state: "running",
    attempt: 1,
    createTimeMicros,
    updateTimeMicros: createTimeMicros,
    cancelRequestTimeMicros: undefined,
    endTimeMicros: undefined,
    metadata: undefined,
    result: undefined,
    ...init,
  };
}

/** A record with this metadata. */
export function baking(metadata: MessageInitShape<typeof BakeMetadataSchema>): FilterableRecord {
  return aRecord({ metadata: toBinary(AnySchema, pack(BakeMetadataSchema, metadata)) });
}

/** A record of `Ship` with this metadata. */
export function shipping(metadata: MessageInitShape<typeof ShipMetadataSchema>): FilterableRecord {
  return aRecord({
    method: "filters.v1.FilterService/Ship",
    metadata: toBinary(AnySchema, pack(ShipMetadataSchema, metadata)),
  });
}

/** A done record that failed with this status. */
export function failed(status: MessageInitShape<typeof StatusSchema>): FilterableRecord {
  return aRecord({
    state: "done",
    endTimeMicros: createTimeMicros + 1_000_000,
    result: { kind: "error", value: toBinary(StatusSchema, create(StatusSchema, status)) },
  });
}

/** A done record with this response. */
export function baked(response: MessageInitShape<typeof BakeResponseSchema>): FilterableRecord {
  return aRecord({
    state: "done",
    endTimeMicros: createTimeMicros + 1_000_000,
    result: { kind: "response", value: toBinary(AnySchema, pack(BakeResponseSchema, response)) },
  });
}
