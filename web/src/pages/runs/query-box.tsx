// The box in which runs are found: names offered while one types, what cannot be read told below.
import { useMemo, useRef, useState } from "react";
import type { ApiError } from "../../lib/api";
import { complete, type Names } from "../../lib/complete";
import { Icon } from "../../components/icon";

interface QueryBoxProps {
  text: string;
  onText: (text: string) => void;
  names: Names;
  /** Why the server does not understand the query. */
  error: ApiError | undefined;
}

export function QueryBox({ text, onText, names, error }: QueryBoxProps) {
  const input = useRef<HTMLInputElement>(null);
  const [caret, setCaret] = useState<number | null>(null);
  const [active, setActive] = useState(-1);
  const offer = useMemo(() => (caret === null ? null : complete(text, caret, names)), [text, caret, names]);
  const moved = (place: number | null) => {
    setCaret(place);
    setActive(-1);
  };
  const take = (option: string) => {
    if (offer === null || caret === null) return;
    const end = offer.from + option.length;
    onText(text.slice(0, offer.from) + option + text.slice(caret));
    moved(end);
    window.requestAnimationFrame(() => input.current?.setSelectionRange(end, end));
  };
  const press = (event: React.KeyboardEvent) => {
    const options = offer?.options ?? [];
    if (event.key === "ArrowDown" && options.length > 0) setActive((active + 1) % options.length);
    else if (event.key === "ArrowUp" && options.length > 0) setActive((active <= 0 ? options.length : active) - 1);
    else if (event.key === "Enter" && options[active] !== undefined) take(options[active]);
    else if (event.key === "Tab" && !event.shiftKey && options[Math.max(0, active)] !== undefined) take(options[Math.max(0, active)] ?? "");
    else if (event.key === "Escape" && offer !== null) moved(null);
    else return;
    event.preventDefault();
  };
  return (
    <div className="query">
      <label className={`filter ${error === undefined ? "" : "refused"}`}>
        <Icon name="search" size={14} />
        <input
          ref={input}
          type="search"
          role="combobox"
          aria-label="Find runs"
          aria-expanded={offer !== null}
          aria-controls="query-offer"
          aria-activedescendant={active >= 0 ? `query-offer-${active}` : undefined}
          aria-invalid={error !== undefined}
          aria-describedby={error === undefined ? undefined : "query-error"}
          autoComplete="off"
          spellCheck={false}
          placeholder="words, or run.metrics.auc > 0.75"
          value={text}
          onChange={(event) => {
            onText(event.target.value);
            moved(event.target.selectionStart);
          }}
          onKeyDown={press}
          onBlur={() => moved(null)}
        />
        <kbd>/</kbd>
      </label>
      <ul id="query-offer" role="listbox" aria-label="Names" className="offer" hidden={offer === null}>
        {offer?.options.map((option, i) => (
          <li
            key={option}
            id={`query-offer-${i}`}
            role="option"
            aria-selected={i === active}
            className="mono"
            // Before the box loses the focus.
            onPointerDown={(event) => {
              event.preventDefault();
              take(option);
            }}
          >
            {option}
          </li>
        ))}
      </ul>
      {/* Not while a name is half typed. */}
      {error !== undefined && offer === null && (
        <p id="query-error" className="query-error" role="alert">
          {error.message}
          {error.hint && <span className="note">: {error.hint}</span>}
        </p>
      )}
    </div>
  );
}
