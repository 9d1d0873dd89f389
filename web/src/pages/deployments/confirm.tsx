// A change that is said in a sentence before it is made.
import { useState, type ReactNode } from "react";

interface ConfirmProps {
  /** What the button says. */
  label: string;
  /** What will be, when it is done. */
  sentence: ReactNode;
  onDo: () => Promise<unknown>;
  disabled?: boolean;
  /** Further choices, beside the sentence. */
  children?: ReactNode;
}

export function Confirm({ label, sentence, onDo, disabled, children }: ConfirmProps) {
  const [asked, setAsked] = useState(false);
  const [busy, setBusy] = useState(false);
  if (!asked) {
    return (
      <button type="button" className="ghost boxed" disabled={disabled === true} onClick={() => setAsked(true)}>
        {label}
      </button>
    );
  }
  const act = async (event: React.FormEvent) => {
    event.preventDefault();
    setBusy(true);
    await onDo();
    setBusy(false);
    setAsked(false);
  };
  return (
    <form className="confirm" aria-label={label} onSubmit={(event) => void act(event)} onKeyDown={(event) => event.key === "Escape" && setAsked(false)}>
      <p>{sentence}</p>
      {children}
      <span className="confirm-buttons">
        <button type="submit" className="primary" disabled={busy || disabled === true} autoFocus={children === undefined}>
          {busy ? "…" : label}
        </button>
        <button type="button" className="ghost" onClick={() => setAsked(false)}>
          leave it
        </button>
      </span>
    </form>
  );
}
