// Runs work that computes in a worker thread, so that the process goes on renewing its leases.
import { Worker } from "node:worker_threads";

/**
 * Runs a module in a worker thread, and resolves with the first message that `isResult` accepts.
 *
 * @param onMessage Called with the other messages, such as progress.
 * @param signal Terminates the thread when it aborts, even in the middle of a loop.
 * @throws The signal's reason; the error of the thread.
 */
export async function runInWorker<Result, Message>(
  module: URL,
  workerData: unknown,
  isResult: (message: Result | Message) => message is Result,
  onMessage: (message: Message) => void,
  signal: AbortSignal,
): Promise<Result> {
  signal.throwIfAborted();
  const worker = new Worker(module, { workerData });
  const terminate = () => void worker.terminate();
  signal.addEventListener("abort", terminate, { once: true });
  try {
    return await new Promise<Result>((resolve, reject) => {
      worker.on("message", (message: Result | Message) => {
        if (isResult(message)) resolve(message);
        else onMessage(message);
      });
      worker.once("error", reject);
      worker.once("exit", (code) => {
        reject(signal.aborted ? signal.reason : new Error(`the worker ended with code ${code}`));
      });
    });
  } finally {
    signal.removeEventListener("abort", terminate);
    await worker.terminate();
  }
}
