import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Text } from "./text.js";

/** Shows a modal dialog. The browser keeps the focus inside it, and Escape closes it. */
export function Dialog({
  title,
  onClose,
  children,
}: {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby={titleId} onClose={onClose}>
      <h2 id={titleId}>{title}</h2>
      {children}
    </dialog>
  );
}

/** The action on one operation. */
export type Action = "cancel" | "delete";

const texts: Readonly<Record<Action, { title: string; why: string; go: string; keep: string }>> = {
  cancel: {
    title: "Cancel this operation?",
    why: "The server asks the work to stop. It may end later, or finish first.",
    go: "Cancel operation",
    keep: "Let it run",
  },
  delete: {
    title: "Delete this operation?",
    why: "The server forgets the operation and its result. Work that still runs is not stopped.",
    go: "Delete operation",
    keep: "Keep it",
  },
};

/** Asks before an action on one operation, and shows the error if the server refuses it. */
export function ConfirmDialog({
  action,
  name,
  run,
  onClose,
}: {
  action: Action;
  name: string;
  /** Resolves with the error's text, and undefined after a success. */
  run: () => Promise<string | undefined>;
  onClose: () => void;
}) {
  const [error, setError] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const { title, why, go, keep } = texts[action];
  const act = async () => {
    setBusy(true);
    const failure = await run();
    setBusy(false);
    if (failure === undefined) onClose();
    else setError(failure);
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <p class="name">
        <Text value={name} />
      </p>
      <p>{why}</p>
      {error !== undefined && (
        <p class="problem" role="alert">
          <Text value={error} />
        </p>
      )}
      <div class="buttons">
        <button type="button" onClick={onClose}>
          {keep}
        </button>
        <button type="button" class="danger" disabled={isBusy} onClick={act}>
          {go}
        </button>
      </div>
    </Dialog>
  );
}

/** Asks for the value of the `Authorization` header. */
export function AuthorizationDialog({
  onValue,
  onClose,
}: {
  onValue: (value: string) => void;
  onClose: () => void;
}) {
  const [value, setValue] = useState("");
  const inputId = useId();
  const submit = (event: Event) => {
    event.preventDefault();
    // A pasted value may end with a line break, which a header must not contain.
    const trimmed = value.trim();
    if (/^[\x21-\x7e]+( [\x21-\x7e]+)*$/.test(trimmed)) onValue(trimmed);
  };
  return (
    <Dialog title="The server wants credentials" onClose={onClose}>
      <form onSubmit={submit}>
        <label for={inputId}>
          Value of the <code>Authorization</code> header
        </label>
        <input
          id={inputId}
          type="password"
          autocomplete="off"
          placeholder="Bearer …"
          value={value}
          onInput={(event) => setValue(event.currentTarget.value)}
        />
        <p class="hint">It stays in this tab's memory and is gone after a reload.</p>
        <div class="buttons">
          <button type="button" onClick={onClose}>
            Not now
          </button>
          <button type="submit" class="primary">
            Use it
          </button>
        </div>
      </form>
    </Dialog>
  );
}
