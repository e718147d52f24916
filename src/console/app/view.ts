/** The state of the page that its address holds, so that each view can be shared as a link. */
export interface View {
  /** The parent of the list; empty for `operations/…`. */
  readonly parent: string;
  /** AIP-160; empty for all operations. */
  readonly filter: string;
  /** The name of the open operation; empty if only the list is open. */
  readonly operation: string;
}

/** Reads the view from an address. */
export function viewOf(search: string, defaultParent: string): View {
  const query = new URLSearchParams(search);
  return {
    parent: query.get("parent") ?? defaultParent,
    filter: query.get("filter") ?? "",
    operation: query.get("op") ?? "",
  };
}

/** Returns the address of a view, relative to the page. */
export function addressOf({ parent, filter, operation }: View, defaultParent: string): string {
  const query = new URLSearchParams();
  if (parent !== defaultParent) query.set("parent", parent);
  if (filter !== "") query.set("filter", filter);
  if (operation !== "") query.set("op", operation);
  const text = query.toString();
  // Slashes are legal in a query, and names are easier to read with them.
  return `./${text === "" ? "" : `?${text.replaceAll("%2F", "/")}`}`;
}
