import { Operations } from "../protos.js";
import type { Subject } from "./subject.js";

/** Calls GetOperation once over each protocol. Returns the faults of protocols that do not answer. */
export async function unreachedProtocols(subject: Subject): Promise<Map<string, string>> {
  const { input, output } = Operations.method.getOperation;
  const name = subject.description.unknownName ?? "operations/conformance-unknown";
  const faults = new Map<string, string>();
  await Promise.all(
    subject.protocols.map(async (protocol) => {
      const answer = await subject.call({
        protocol,
        service: Operations.typeName,
        method: "GetOperation",
        input,
        output,
        request: { name },
        sinceMs: performance.now(),
      });
      const fault = answer?.fault;
      if (fault?.kind === "connection" || fault?.kind === "no-answer") {
        faults.set(protocol, subject.mask.text(fault.text));
      }
    }),
  );
  return faults;
}
