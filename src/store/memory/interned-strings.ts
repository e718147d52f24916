/** Strings with many users. Each string is stored once, under a number, while it has a user. */
export interface InternedStrings {
  /** The number of a string, which has one user more from now on. */
  retain(text: string): number;
  /** It has one user less. After the last one the number is free for another string. */
  release(id: number): void;
  /** How many users it has. */
  users(id: number): number;
  /** Returns the number of a string; undefined if it has no user. */
  idOf(text: string): number | undefined;
  /** The string of a number that is in use. */
  textOf(id: number): string;
}

export function createInternedStrings(): InternedStrings {
  const ids = new Map<string, number>();
  const texts: string[] = [];
  const users: number[] = [];
  const vacant: number[] = [];
  return {
    retain(text) {
      const id = ids.get(text) ?? vacant.pop() ?? texts.length;
      if (!ids.has(text)) {
        ids.set(text, id);
        texts[id] = text;
        users[id] = 0;
      }
      users[id] = (users[id] ?? 0) + 1;
      return id;
    },
    release(id) {
      const left = (users[id] ?? 0) - 1;
      users[id] = left;
      if (left > 0) return;
      ids.delete(texts[id] ?? "");
      texts[id] = "";
      vacant.push(id);
    },
    users: (id) => users[id] ?? 0,
    idOf: (text) => ids.get(text),
    textOf: (id) => texts[id] ?? "",
  };
}
