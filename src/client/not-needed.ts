/**
 * Why a call or a pause of our own is aborted when nobody waits for it any more. A
 * reason that is given spares the DOMException, stack and all, that `abort()` makes
 * without one: half of the time that waking many who wait took.
 */
export const notNeeded = "nobody waits for it any more";
