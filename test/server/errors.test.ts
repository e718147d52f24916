import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { assert, describe, expect, it } from "vitest";
import { StatusSchema } from "../../src/protos.js";
import { errorFromStatus } from "../../src/status/index.js";
import { errorOf } from "../support/operation-end.js";
import { createPrintServer } from "../support/print-server.js";
import { never } from "../support/print-work.js";
import { rejectionOf } from "../support/rejection.js";

describe("details of an unregistered type", () => {
  const unknown = create(AnySchema, {
    typeUrl: "types.example.com/elsewhere.v1.Fault",
    value: Uint8Array.of(10, 3, 1, 2, 3, 255, 7),
  });
  const status = create(StatusSchema, { code: Code.DataLoss, message: "lost", details: [unknown] });

  it("server 82: come through the store in Operation.error byte for byte", async () => {
    const { printer, rpc, clock } = createPrintServer(() => {
      throw errorFromStatus(status);
    });
    const { name } = await printer.print({});
    await clock.advance(0);
    const { result } = await rpc.getOperation({ name });
    assert(result.case === "error");
    expect(toBinary(StatusSchema, result.value)).toEqual(toBinary(StatusSchema, status));
  });

  it("server 82: come with the start call's own error", async () => {
    const { printer } = createPrintServer(never, {
      method: {
        validate() {
          throw errorFromStatus(status);
        },
      },
    });
    const [detail] = (await rejectionOf(printer.print({}))).details;
    expect(detail).toMatchObject({ type: "elsewhere.v1.Fault", value: unknown.value });
  });
});

describe("the code of an operation's error", () => {
  it.each([0, -1, 17, 1.5, Number.NaN])("server 3: is UNKNOWN for a code of %d", async (code) => {
    const { printer, client, clock } = createPrintServer(() => {
      throw new ConnectError("x", code);
    });
    const { name } = await printer.print({});
    await clock.advance(0);
    expect(errorOf(await client.get(name)).code).toBe(Code.Unknown);
  });
});
