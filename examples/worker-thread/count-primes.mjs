// The work itself, in a thread of its own: it never yields, and need not.
import { parentPort, workerData } from "node:worker_threads";

let count = 0;
for (let n = 2; n <= workerData; n += 1) {
  let isPrime = true;
  for (let d = 2; d * d <= n && isPrime; d += 1) isPrime = n % d !== 0;
  if (isPrime) count += 1;
  if (n % 100_000 === 0) parentPort?.postMessage({ checked: n });
}
parentPort?.postMessage({ count });
