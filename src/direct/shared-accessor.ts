/**
 * Returns an accessor for a property of the object itself, so that `{ ...object }` includes it. All
 * objects of one kind share the accessor in a constant. An object literal would create its
 * accessors again for each object, which takes ten times as long.
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
