import { FieldDescriptorProto_Type } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { progressOf } from "../../src/display/progress.js";
import { type FieldTypes, metadataOf } from "../cli/support/metadata-of.js";

const { INT32, INT64, DOUBLE, STRING, BOOL } = FieldDescriptorProto_Type;
const nothing = { fraction: undefined, counted: undefined, status: undefined };

describe("progressOf", () => {
  it.each([
    "percent",
    "percentage",
    "progress_percent",
    "progress_percentage",
    "percent_complete",
    "percent_completed",
    "percent_done",
    "completion_percentage",
    "done_percent",
  ])("takes a number called %s for a percentage", (name) => {
    for (const type of [INT32, INT64, DOUBLE]) {
      expect(progressOf(metadataOf({ [name]: type }, { [name]: 42 })).fraction).toBe(0.42);
    }
    expect(progressOf(metadataOf({ [name]: INT32 })).fraction).toBe(0);
    expect(progressOf(metadataOf({ [name]: STRING }, { [name]: "42" }))).toEqual(nothing);
    expect(progressOf(metadataOf({ [name]: BOOL }, { [name]: true }))).toEqual(nothing);
  });

  it.each([
    ["files_total", "files_done"],
    ["total_pages", "printed_pages"],
    ["total_pages", "pages_printed"],
    ["estimated_work", "completed_work"],
    ["work_estimated", "work_completed"],
    ["total_count", "processed_count"],
    ["total", "done"],
    ["total", "completed"],
    ["total_bytes", "bytes_written"],
  ])("takes %s and %s for a pair", (total, done) => {
    const fields = { [done]: INT64, [total]: INT32 };
    expect(progressOf(metadataOf(fields, { [done]: "3", [total]: 8 }))).toEqual({
      ...nothing,
      fraction: 3 / 8,
      counted: "3 of 8",
    });
    expect(progressOf(metadataOf(fields, { [total]: 8 })).counted).toBe("0 of 8");
    // The total is unknown.
    expect(progressOf(metadataOf(fields, { [done]: "3" }))).toEqual(nothing);
  });

  it.each<FieldTypes>([
    { pages_printed: INT32 },
    { total_pages: INT32, files_done: INT32 },
    { total: INT32, percentile: INT32 },
    { total_pages: INT32, pages: INT32 },
    { total_pages: STRING, pages_done: INT32 },
  ])("finds nothing in %j", (fields) => {
    const values = Object.entries(fields).map(([name, type]) => [name, type === STRING ? "9" : 9]);
    expect(progressOf(metadataOf(fields, Object.fromEntries(values)))).toEqual(nothing);
  });

  it("prefers a percentage to a pair, and shows what the pair counts", () => {
    const fields = { total: INT32, done: INT32, percent: INT32 };
    expect(progressOf(metadataOf(fields, { total: 4, done: 1, percent: 30 }))).toEqual({
      ...nothing,
      fraction: 0.3,
      counted: "1 of 4",
    });
  });

  it("looks into a message called progress, but into no other", () => {
    const inner: FieldTypes = { progress_percent: INT32, status: STRING };
    const values = { progress_percent: 7, status: "moving" };
    const found = { fraction: 0.07, counted: undefined, status: "moving" };
    expect(progressOf(metadataOf({ progress: inner }, { progress: values }))).toEqual(found);
    expect(progressOf(metadataOf({ copy_progress: inner }, { copy_progress: values }))).toEqual(
      found,
    );
    expect(progressOf(metadataOf({ source: inner }, { source: values }))).toEqual(nothing);
    expect(progressOf(metadataOf({ progress: inner }))).toEqual(nothing);
  });

  it("takes the most telling of the fields that say what it is doing", () => {
    const fields = { state: STRING, status_message: STRING };
    const both = { state: "ACTIVE", status_message: "copying" };
    expect(progressOf(metadataOf(fields, both)).status).toBe("copying");
    expect(progressOf(metadataOf(fields, { state: "ACTIVE" })).status).toBe("ACTIVE");
  });

  it("gives a share from 0 to 1, whatever the server says", () => {
    const fields = { percent: DOUBLE, total: DOUBLE, done: DOUBLE };
    fc.assert(
      fc.property(
        fc.record({ percent: fc.double(), total: fc.double(), done: fc.double() }),
        (numbers) => {
          const json = Object.fromEntries(
            Object.entries(numbers).map(([name, value]) => [
              name,
              Number.isFinite(value) ? value : String(value),
            ]),
          );
          const { fraction = 0 } = progressOf(metadataOf(fields, json));
          expect(fraction).toBeGreaterThanOrEqual(0);
          expect(fraction).toBeLessThanOrEqual(1);
        },
      ),
    );
  });
});
