import { useState } from "react";
import { Icon } from "../../components/icon";
import { spell } from "../../lib/describe";
import { plural } from "../../lib/format";

interface ColumnMenuProps {
  metrics: readonly string[];
  params: readonly string[];
  tags: readonly string[];
  picked: readonly string[];
  onChange: (picked: string[]) => void;
}
const SHOWN = 40;
const SEARCHED = 12;

/** Which metrics (last, smallest, largest), parameters and tags the table shows. A long list is searched, not scrolled. */
export function ColumnMenu({ metrics, params, tags, picked, onChange }: ColumnMenuProps) {
  const [text, setText] = useState("");
  const toggle = (key: string) => onChange(picked.includes(key) ? picked.filter((one) => one !== key) : [...picked, key]);
  const groups = [
    { name: "metrics", prefix: "m:", keys: metrics },
    { name: "parameters", prefix: "p:", keys: params },
    { name: "tags", prefix: "t:", keys: tags },
  ];
  const total = metrics.length + params.length + tags.length;
  if (total === 0) return null;
  return (
    <details className="menu">
      <summary>
        <Icon name="columns" size={14} /> columns
      </summary>
      <div className="menu-body">
        {total > SEARCHED && (
          <input
            type="text"
            className="menu-search"
            aria-label="Find a column"
            placeholder="Find a column"
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        )}
        {groups.map(({ name, prefix, keys }) => {
          const fitting = keys.filter((key) => key.toLowerCase().includes(text.toLowerCase()));
          return (
            <fieldset key={name} hidden={fitting.length === 0}>
              <legend>{name}</legend>
              {fitting.slice(0, SHOWN).map((key) => (
                <div key={key} className="menu-line">
                  <label>
                    <input type="checkbox" checked={picked.includes(prefix + key)} onChange={() => toggle(prefix + key)} />
                    {prefix === "m:" ? spell(key) : key}
                  </label>
                  {prefix === "m:" &&
                    (["n", "x"] as const).map((which) => (
                      <button
                        key={which}
                        type="button"
                        className="extreme"
                        aria-pressed={picked.includes(`${which}:${key}`)}
                        aria-label={`${which === "n" ? "smallest" : "largest"} ${spell(key)}`}
                        onClick={() => toggle(`${which}:${key}`)}
                      >
                        {which === "n" ? "min" : "max"}
                      </button>
                    ))}
                </div>
              ))}
              {fitting.length > SHOWN && <p className="note">and {plural(fitting.length - SHOWN, "more")}: type to find them</p>}
            </fieldset>
          );
        })}
      </div>
    </details>
  );
}
