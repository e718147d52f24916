import { createRouterTransport } from "@connectrpc/connect";
import { afterEach, describe, expect, it, vi } from "vitest";
import { file_archive_v1_archive } from "../../examples/archive/gen/archive/v1/archive_pb.js";
import { ServerReflection } from "../../src/protos.js";
import { createReflection } from "../../src/reflection/index.js";
import { createReflectionLookup } from "../../src/reflection/reflection-lookup.js";

afterEach(() => void vi.useRealTimers());

describe("createReflectionLookup", () => {
  it("leaves no timer behind, which would keep the command from ending", async () => {
    const reflection = createReflection([], { files: [file_archive_v1_archive] });
    const transport = createRouterTransport(({ service }) => {
      service(ServerReflection, reflection);
    });
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const { lookUp } = createReflectionLookup(transport, new AbortController().signal);
    const files = await lookUp("archive.v1.CompressMetadata");
    expect(files.map(({ name }) => name)).toContain("archive/v1/archive");
    expect(vi.getTimerCount()).toBe(0);
  });
});
