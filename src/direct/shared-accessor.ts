/**
 * An accessor of a property that is an object's own, so that `{ ...object }` has it too. Objects
 * that are made in great number share theirs, in one constant: those of an object literal are
 * made anew for each, which takes ten times as long.
 */
export function sharedAccessor<Owner, Value>(
  read: (owner: Owner) => Value,
): PropertyDescriptor & ThisType<Owner> {
  return {
    get(this: Owner) {
      return read(this);
    },
    enumerable: true,
    configurable: true,
  };
}
