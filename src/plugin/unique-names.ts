/**
 * Returns a function that makes names unique: among themselves, and from those that are `taken`
 * already. It appends `$`, `$1`, …, which no name in a .proto file can hold.
 */
export function uniqueNames(taken: Iterable<string>): (ideal: string) => string {
  const used = new Set(taken);
  return (ideal) => {
    let name = ideal;
    for (let i = 0; used.has(name); i++) name = i === 0 ? `${ideal}$` : `${ideal}$${i}`;
    used.add(name);
    return name;
  };
}
