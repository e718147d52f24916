import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Text } from "./text.js";

/** Filters that one click sets (AIP-160). */
const chips = [
  { label: "All", filter: "" },
  { label: "Running", filter: "done = false" },
  { label: "Failed", filter: "error:* AND NOT error.code = CANCELLED" },
  { label: "Cancelled", filter: "error.code = CANCELLED" },
] as const;

/** A fault of the filter, in the server's words. */
export interface FilterFault {
  readonly message: string;
  /** The 1-based column; 0 if the server does not say it. */
  readonly column: number;
}

/** Chooses the parent and the filter, and jumps to a name. */
export function Toolbar({
  parent,
  filter,
  parents,
  fault,
  onParent,
  onFilter,
  onHelp,
}: {
  parent: string;
  filter: string;
  parents: readonly string[];
  fault: FilterFault | undefined;
  onParent: (parent: string) => void;
  /** Called with a filter, or with the name of an operation. */
  onFilter: (text: string) => void;
  onHelp: () => void;
}) {
  const [text, setText] = useState(filter);
  const [parentText, setParentText] = useState(parent);
  useEffect(() => setText(filter), [filter]);
  useEffect(() => setParentText(parent), [parent]);
  const ids = { parent: useId(), parents: useId(), filter: useId(), fault: useId() };
  const input = useRef<HTMLInputElement>(null);

  const submit = (event: Event) => {
    event.preventDefault();
    onFilter(text.trim());
  };
  const submitParent = (event: Event) => {
    event.preventDefault();
    onParent(parentText.trim());
  };
  return (
    <div class="toolbar">
      <form class="parent" onSubmit={submitParent}>
        <label for={ids.parent}>Parent</label>
        <input
          id={ids.parent}
          list={ids.parents}
          value={parentText}
          placeholder="none"
          autocomplete="off"
          spellcheck={false}
          onInput={(event) => setParentText(event.currentTarget.value)}
          onChange={() => onParent(parentText.trim())}
        />
        <datalist id={ids.parents}>
          {parents.map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
      </form>
      <form class="filter-form" onSubmit={submit}>
        <label for={ids.filter}>Filter</label>
        <input
          ref={input}
          id={ids.filter}
          data-filter
          type="search"
          value={text}
          placeholder="done = false, or the name of an operation"
          autocomplete="off"
          spellcheck={false}
          aria-invalid={fault !== undefined}
          aria-describedby={fault === undefined ? undefined : ids.fault}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <button type="submit">Apply</button>
        <button type="button" aria-label="Help for filters and keys" onClick={onHelp}>
          ?
        </button>
      </form>
      <div class="chips" role="group" aria-label="Quick filters">
        {chips.map((chip) => (
          <button
            key={chip.label}
            type="button"
            class="chip"
            aria-pressed={filter === chip.filter}
            onClick={() => onFilter(chip.filter)}
          >
            {chip.label}
          </button>
        ))}
      </div>
      {fault !== undefined && (
        <div id={ids.fault} class="fault" role="alert">
          {fault.column > 0 && (
            <pre aria-hidden="true">
              {`${filter.slice(0, 300)}\n${" ".repeat(Math.min(fault.column - 1, 300))}^`}
            </pre>
          )}
          <Text value={fault.message} />{" "}
          {fault.column > 0 && (
            <button
              type="button"
              class="link"
              onClick={() => {
                input.current?.focus();
                input.current?.setSelectionRange(fault.column - 1, fault.column);
              }}
            >
              go to column {fault.column}
            </button>
          )}
        </div>
      )}
    </div>
  );
}
