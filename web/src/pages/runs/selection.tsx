// What can be done with the chosen runs, those that were never scrolled to among them.
import { useCallback, useMemo, useState } from "react";
import { get, post, type RunFilter } from "../../lib/api";
import { each, idsOf, MOST_CHOSEN } from "../../lib/bulk";
import { useCommands } from "../../lib/commands";
import { csvLine } from "../../lib/csv";
import { useKeys } from "../../lib/keys";
import type { Run } from "../../lib/records";
import { plural } from "../../lib/format";
import { navigate } from "../../lib/router";
import { Icon } from "../../components/icon";
import { tell } from "../../components/toast";
import { columnName, figure } from "./columns";
import { serverOrder, type Ranges } from "./use-runs";

/** More than that many cannot stand in an address. */
const MOST_COMPARED = 100;
const CHUNK = 500;

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

export interface Chosen {
  chosen: ReadonlySet<string>;
  choose: (ids: readonly string[], on: boolean) => void;
  clear: () => void;
}

export function useChosen(): Chosen {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const choose = useCallback((ids: readonly string[], on: boolean) => {
    setChosen((now) => {
      const next = new Set(now);
      for (const id of ids) {
        if (on) next.add(id);
        else next.delete(id);
      }
      return next;
    });
  }, []);
  const clear = useCallback(() => setChosen(new Set()), []);
  return useMemo(() => ({ chosen, choose, clear }), [chosen, choose, clear]);
}

/** Deletes runs, or brings them back, and offers the way back. */
export async function move(ids: readonly string[], to: "deleted" | "active", undone = false): Promise<void> {
  const { done, refused } = await each(ids, (id) => post(to === "deleted" ? "tracking/delete_run" : "tracking/restore_run", { id }));
  const said = done.length === 0 ? "" : `${plural(done.length, "run")} ${to === "deleted" ? "deleted" : "restored"}.`;
  const back = done.length === 0 || undone ? null : () => void move(done, to === "deleted" ? "active" : "deleted", true);
  tell([said, refused].filter(Boolean).join(" "), back);
}

interface SelectionProps {
  held: Chosen;
  loaded: readonly Run[];
  filter: RunFilter;
  order: string;
  total: number | undefined;
  picked: readonly string[];
  ranges: Ranges;
}

export function Selection({ held, loaded, filter, order, total, picked, ranges }: SelectionProps) {
  const { chosen, choose, clear } = held;
  const ids = useMemo(() => [...chosen], [chosen]);
  const deleted = filter.lifecycle === "deleted";
  const compare = useCallback(() => {
    // In the order of the table, as far as it is loaded.
    const shown = loaded.filter((run) => chosen.has(run.id)).map((run) => run.id);
    const some = [...new Set([...shown, ...ids])].slice(0, MOST_COMPARED);
    if (some.length > 0) navigate(`/runs?compare=${some.map(encodeURIComponent).join(",")}`);
  }, [loaded, chosen, ids]);
  const remove = useCallback(() => {
    if (ids.length === 0) return;
    clear();
    void move(ids, deleted ? "active" : "deleted");
  }, [ids, deleted, clear]);
  const everything = useCallback(() => void idsOf(filter, serverOrder(order)).then((found) => choose(found, true), (error: unknown) => tell(String(error))), [filter, order, choose]);
  useKeys(useMemo(() => ({ c: compare, Escape: clear, "#": remove }), [compare, clear, remove]));
  useCommands(
    useMemo(
      () => [
        ...(ids.length > 0
          ? [
              { label: `Compare ${plural(Math.min(ids.length, MOST_COMPARED), "selected run")}`, keys: "c", run: compare },
              { label: `${deleted ? "Restore" : "Delete"} ${plural(ids.length, "selected run")}`, keys: "#", run: remove },
            ]
          : []),
        { label: "Select all runs that fit", run: everything },
        { label: "Select no run", keys: "Esc", run: clear },
      ],
      [ids, deleted, compare, remove, everything, clear],
    ),
  );
  if (ids.length === 0) return null;
  const copy = async () => {
    const known = new Map(loaded.map((run) => [run.id, run]));
    const missing = ids.filter((id) => !known.has(id));
    for (let at = 0; at < missing.length; at += CHUNK) {
      for (const run of await get("tracking/get_runs", { ids: missing.slice(at, at + CHUNK) })) known.set(run.id, run);
    }
    const runs = ids.flatMap((id) => known.get(id) ?? []);
    await navigator.clipboard.writeText(toCsv(runs, picked, ranges));
    tell(`${plural(runs.length, "line")} copied.`);
  };
  return (
    <div className="selection" role="region" aria-label="Selected runs">
      <b>{plural(ids.length, "run")} selected</b>
      {total !== undefined && total > ids.length && (
        <button type="button" className="link" onClick={everything}>
          select all {Math.min(total, MOST_CHOSEN).toLocaleString("en")}
        </button>
      )}
      <button type="button" className="primary" onClick={compare}>
        compare{ids.length > MOST_COMPARED && ` the first ${MOST_COMPARED}`} <kbd>c</kbd>
      </button>
      <TagAll ids={ids} />
      <button type="button" className="ghost" onClick={() => void copy().catch(() => tell("The browser does not allow it."))}>
        <Icon name="copy" size={14} /> copy as CSV
      </button>
      <button type="button" className="ghost" onClick={remove}>
        {deleted ? "restore" : "delete"} <kbd>#</kbd>
      </button>
      <button type="button" className="ghost last" onClick={clear}>
        clear <kbd>Esc</kbd>
      </button>
    </div>
  );
}

/** "team=red" sets a tag of all, "-team" takes it off. */
function TagAll({ ids }: { ids: readonly string[] }) {
  const [text, setText] = useState("");
  const save = async (event: React.FormEvent) => {
    event.preventDefault();
    const [named = "", ...rest] = text.split("=");
    const off = rest.length === 0 && named.trim().startsWith("-");
    const key = named.trim().replace(/^-/, "");
    if (key === "") return;
    const act = off ? (id: string) => post("tracking/delete_tag", { id, key }) : (id: string) => post("tracking/set_tags", { id, tags: { [key]: rest.join("=").trim() } });
    const { done, refused } = await each(ids, act);
    tell([done.length > 0 || refused === "" ? `${plural(done.length, "run")} ${off ? "without the tag" : "tagged"}.` : "", refused].filter(Boolean).join(" "));
    if (done.length > 0) setText("");
  };
  return (
    <form className="tag-all" onSubmit={(event) => void save(event)}>
      <input type="text" aria-label="Tag for the selected runs" placeholder="tag=value or -tag" value={text} onChange={(event) => setText(event.target.value)} />
      <button type="submit" className="ghost" disabled={text.trim() === ""}>
        tag
      </button>
    </form>
  );
}
