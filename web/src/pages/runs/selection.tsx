// What can be done with the chosen runs.
import { useState } from "react";
import { ApiError, post } from "../../lib/api";
import { csvLine } from "../../lib/csv";
import { invalidate } from "../../lib/query";
import type { Run } from "../../lib/records";
import { plural } from "../../lib/format";
import { Icon } from "../../components/icon";
import { columnName, figure } from "./columns";
import type { Ranges } from "./use-runs";

interface SelectionProps {
  runs: readonly Run[];
  picked: readonly string[];
  ranges: Ranges;
  onCompare: () => void;
  onClear: () => void;
}

/** The chosen runs as a table to paste elsewhere, with the columns that are shown. */
export function toCsv(runs: readonly Run[], picked: readonly string[], ranges: Ranges): string {
  const head = ["id", "name", "experiment", "status", "started", ...picked.map(columnName)];
  const lines = runs.map((run) =>
    csvLine([
      run.id, run.name, run.experiment, run.status, new Date(run.start_ms).toISOString(),
      ...picked.map((key) => (/^[mnx]:/.test(key) ? figure(run, key, ranges) : (key.startsWith("t:") ? run.tags : run.params)[key.slice(2)])),
    ]),
  );
  return `${[csvLine(head), ...lines].join("\n")}\n`;
}

export function Selection({ runs, picked, ranges, onCompare, onClear }: SelectionProps) {
  const [said, setSaid] = useState("");
  const copy = () => {
    const done = navigator.clipboard?.writeText(toCsv(runs, picked, ranges));
    void done?.then(() => setSaid(`${plural(runs.length, "line")} copied`), () => setSaid("the browser does not allow it"));
  };
  return (
    <div className="selection" role="region" aria-label="Selected runs">
      <b>{plural(runs.length, "run")} selected</b>
      <button type="button" className="primary" onClick={onCompare}>
        compare <kbd>c</kbd>
      </button>
      <TagAll runs={runs} onSaid={setSaid} />
      <button type="button" className="ghost" onClick={copy}>
        <Icon name="copy" size={14} /> copy as CSV
      </button>
      <span className="note" role="status">
        {said}
      </span>
      <button type="button" className="ghost last" onClick={onClear}>
        clear <kbd>Esc</kbd>
      </button>
    </div>
  );
}

function TagAll({ runs, onSaid }: { runs: readonly Run[]; onSaid: (said: string) => void }) {
  const [text, setText] = useState("");
  const save = async (event: React.FormEvent) => {
    event.preventDefault();
    const [key = "", ...rest] = text.split("=");
    if (key.trim() === "") return;
    try {
      for (const run of runs) await post("tracking/set_tags", { id: run.id, tags: { [key.trim()]: rest.join("=").trim() } });
      onSaid(`${plural(runs.length, "run")} tagged`);
      setText("");
    } catch (error) {
      onSaid(error instanceof ApiError ? error.message : String(error));
    }
    invalidate(["tracking/"]);
  };
  return (
    <form className="tag-all" onSubmit={(event) => void save(event)}>
      <input type="text" aria-label="Tag for the selected runs" placeholder="tag=value" value={text} onChange={(event) => setText(event.target.value)} />
      <button type="submit" className="ghost" disabled={text.trim() === ""}>
        tag
      </button>
    </form>
  );
}
