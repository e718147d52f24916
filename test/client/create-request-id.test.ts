import { validate, version } from "uuid";
import { describe, expect, it } from "vitest";
import { createRequestId } from "../../src/client/create-request-id.js";

describe("createRequestId", () => {
  it("makes UUIDs of version 4, each another", () => {
    const ids = Array.from({ length: 1000 }, createRequestId);
    for (const id of ids) expect([validate(id), version(id)]).toEqual([true, 4]);
    expect(new Set(ids).size).toBe(1000);
  });
});
