/** Collects the values of one statement. */
export interface Parameters {
  /** `$n` for a value; the statement casts it where its type does not show. */
  add(value: unknown): string;
  readonly values: readonly unknown[];
}

export function createParameters(): Parameters {
  const values: unknown[] = [];
  return {
    add(value) {
      values.push(value);
      return `$${values.length}`;
    },
    values,
  };
}

/** One column of the rows that a statement is given: its name, its type and its value for an item. */
export type GivenColumn<Item> = readonly [
  column: string,
  type: string,
  read: (item: Item) => unknown,
];

/**
 * Returns a table expression, named `given`, with a row for each item. The text depends only
 * on whether there is one item or several, so that prepared statements stay few.
 */
export function givenRows<Item>(
  items: readonly Item[],
  given: readonly GivenColumn<Item>[],
  { add }: Parameters,
): string {
  const names = given.map(([column]) => column).join(", ");
  const [item, ...others] = items;
  // A single item is passed as scalars, because a driver sends bytes in an array as text of twice
  // the length.
  if (item !== undefined && others.length === 0) {
    const values = given.map(([, type, read]) => `${add(read(item) ?? null)}::${type}`);
    return `(values (${values.join(", ")})) as given (${names})`;
  }
  const arrays = given.map(
    ([, type, read]) => `${add(items.map((each) => read(each) ?? null))}::${type}[]`,
  );
  return `unnest(${arrays.join(", ")}) as given (${names})`;
}

/**
 * The database's time of one statement, as table `t`. It is read once, because the planner does
 * not flatten a subquery with a volatile function.
 */
export const statementTime = "(select clock_timestamp() as now) t";

/** The next update time of row `o`, which is later than the last one even if the clock was set back. */
export const nextUpdateTime = "greatest(t.now, o.update_time + interval '1 microsecond')";

/**
 * Returns the create time as an expression of the same order, which only the indexes by principal
 * have. `prefix` is "o." for row `o`.
 */
export function creationKey(prefix: string): string {
  return creationKeyOf(`${prefix}create_time`);
}

/** Returns the value of `creationKey` for a row of this create time. */
export function creationKeyOf(createTime: string): string {
  return `(${createTime} - timestamptz 'epoch')`;
}

/** Whether callers can find row `o`. */
export const isVisible = `(o.state <> 'gone' and o.delete_time is null
  and (o.expire_time is null or o.expire_time > (select clock_timestamp())))`;

/** Whether row `o` is no longer needed, neither by a reader nor for its request id. */
export const isForgotten = `(coalesce(o.purge_time <= clock_timestamp(), false)
  and coalesce(o.request_window_end_time <= clock_timestamp(), true))`;

/**
 * Whether row `o` keeps its resource busy: it is not done. A deleted operation that is driven from
 * outside does not count, because no call can end it.
 */
export const isOpen = `(o.end_time is null
  and not (o.external and o.delete_time is not null))`;

/** Returns a length of time in milliseconds as an interval. */
export function interval(milliseconds: string): string {
  return `(${milliseconds}::double precision * interval '1 millisecond')`;
}
