/**
 * The abort reason of calls and pauses that no follower waits for. An `abort()` without a reason
 * would create a DOMException with a stack, for every wait that ends.
 */
export const notNeeded = "no follower is left";
