/**
 * Why a call or a pause of our own is aborted when nobody waits for it any more. A
 * reason that is given spares the DOMException, stack and all, that `abort()` makes
 * without one for every wait that ends.
 */
export const notNeeded = "nobody waits for it any more";
