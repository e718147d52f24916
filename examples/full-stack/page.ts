import { createConnectTransport } from "@connectrpc/connect-web";
import {
  createLongRunningClient,
  createTypeRegistry,
  OperationError,
  type OperationHandle,
} from "connect-longrunning";
import { Operations } from "connect-longrunning/protos";
import type { CountMetadata, CountResponse } from "../platforms/gen/counting/v1/counting_pb.ts";
import { CountingService } from "../platforms/gen/counting/v1/counting_pb.ts";
import { Count } from "./count.ts";

const transport = createConnectTransport({
  baseUrl: location.origin,
  // The transport speaks JSON, which needs the types of the payloads.
  jsonOptions: { registry: createTypeRegistry([CountingService, Operations]) },
});
const client = createLongRunningClient({ count: Count }, transport);

const form = document.querySelector("form") as HTMLFormElement;
const limit = form.elements.namedItem("limit") as HTMLInputElement;
const cancel = form.elements.namedItem("cancel") as HTMLButtonElement;
const bar = document.querySelector("progress") as HTMLProgressElement;
const status = document.querySelector("[role=status]") as HTMLElement;

/** Shows an operation until its end. After a reload the page finds it by the stored token. */
async function follow(handle: OperationHandle<CountResponse, CountMetadata>, max: number) {
  localStorage.setItem("operation", JSON.stringify({ token: handle.resumeToken, max }));
  bar.max = max;
  cancel.disabled = false;
  cancel.onclick = () => handle.cancel();
  try {
    for await (const { kind, metadata } of handle.watch()) {
      bar.value = kind === "succeeded" ? max : (metadata?.counted ?? 0);
      status.textContent = kind === "running" ? `counted ${bar.value} of ${max}` : kind;
    }
    localStorage.removeItem("operation");
  } catch (error) {
    // The operation goes on: its token stays, so a reload resumes the wait.
    status.textContent =
      error instanceof OperationError ? `${error.kind}: ${error.message}` : `${error}`;
  } finally {
    cancel.disabled = true;
  }
}

form.onsubmit = async (event) => {
  event.preventDefault();
  const max = limit.valueAsNumber;
  await follow(await client.count({ limit: max }), max);
};

const stored = localStorage.getItem("operation");
if (stored !== null) {
  const { token, max } = JSON.parse(stored);
  try {
    await follow(await client.count.resume(token), max);
  } catch {
    localStorage.removeItem("operation"); // the server no longer has it
    status.textContent = "the operation is gone";
  }
}
