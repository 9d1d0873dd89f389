// Everything that has a name, two keys away.
import { useEffect, useMemo, useState } from "react";
import type { Run } from "../lib/records";
import { useVerb } from "../lib/query";
import { fuzzy } from "../lib/fuzzy";
import { ago, plural } from "../lib/format";
import { navigate, path } from "../lib/router";
import { setTheme } from "../lib/theme";
import { currentCommands } from "../lib/commands";
import { Icon, type IconName } from "./icon";
import { Overlay } from "./overlay";

interface Item {
  id: string;
  group: string;
  label: string;
  note: string;
  icon: IconName;
  go: () => void;
}
const MOST = 12;

const page = (label: string, to: string, icon: IconName, keys: string): Item => ({
  id: `page${to}`,
  group: "Pages",
  label,
  note: keys,
  icon,
  go: () => navigate(to),
});
const PAGES: Item[] = [
  page("Loop", "/loop", "loop", "g l"),
  page("Data", "/data", "data", "g d"),
  page("Runs", "/runs", "runs", "g r"),
  page("Trials", "/runs?kind=trial", "runs", ""),
  page("Pipelines", "/runs?kind=pipeline", "runs", ""),
  page("Models", "/models", "models", "g m"),
  page("Deployments", "/deployments", "split", "g e"),
];
const THEMES: Item[] = (["system", "light", "dark"] as const).map((theme) => ({
  id: `theme-${theme}`,
  group: "Actions",
  label: `Theme: ${theme}`,
  note: "",
  icon: theme === "light" ? "sun" : theme === "dark" ? "moon" : "screen",
  go: () => setTheme(theme),
}));

const WAIT_MS = 150;

/** What is typed, once nobody has typed for a moment. */
function useSettled(text: string): string {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = window.setTimeout(() => setSettled(text), WAIT_MS);
    return () => window.clearTimeout(timer);
  }, [text]);
  return settled;
}

/** The newest runs, and those among all that have the words. */
function useRunsCalled(words: string): Run[] {
  const columns: string[] = [];
  const newest = useVerb("tracking/search_runs", { limit: 200, order_by: "-run.start", columns });
  const settled = useSettled(words.trim());
  const query = settled.length < 2 ? null : JSON.stringify(settled);
  const found = useVerb("tracking/search_runs", query === null ? null : { query, limit: MOST, order_by: "-run.start", columns });
  return useMemo(() => {
    const runs = [...(newest.data?.runs ?? []), ...(found.data?.runs ?? [])];
    return [...new Map(runs.map((run) => [run.id, run])).values()];
  }, [newest.data, found.data]);
}

function useItems(words: string): Item[] {
  const loops = useVerb("loop/list_models", {});
  const models = useVerb("registry/list_models", {});
  const tables = useVerb("data/list_tables", {});
  const deployments = useVerb("serving/list_deployments", {});
  const runs = useRunsCalled(words);
  return useMemo(() => {
    const held = new Set((loops.data ?? []).map((l) => l.model));
    return [
      ...currentCommands().map((command): Item => ({ id: `do/${command.label}`, group: "Actions", label: command.label, note: command.keys ?? "", icon: "right", go: command.run })),
      ...PAGES,
      ...[...held].map((model): Item => ({ id: `loop/${model}`, group: "Loops", label: model, note: "", icon: "loop", go: () => navigate(path("loop", model)) })),
      ...(models.data ?? []).map((m): Item => ({ id: `model/${m.name}`, group: "Models", label: m.name, note: plural(m.versions, "version"), icon: "models", go: () => navigate(path("models", m.name)) })),
      ...(deployments.data ?? []).map((d): Item => ({ id: `deployment/${d.model}`, group: "Deployments", label: d.model, note: `generation ${d.generation}`, icon: "split", go: () => navigate(path("deployments", d.model)) })),
      ...(tables.data ?? []).map((t): Item => ({ id: `table/${t.name}`, group: "Tables", label: t.name, note: `v${t.version}`, icon: "data", go: () => navigate(path("data", t.name)) })),
      ...runs.map((r): Item => ({ id: `run/${r.id}`, group: "Runs", label: r.name || r.id, note: `${r.kind}, ${ago(r.start_ms)}`, icon: "runs", go: () => navigate(path("runs", r.id)) })),
      ...THEMES,
    ];
  }, [loops.data, models.data, deployments.data, tables.data, runs]);
}

function rank(items: readonly Item[], query: string): Item[] {
  if (query.trim() === "") return items.filter((item) => item.group !== "Runs").slice(0, MOST);
  return items
    .map((item) => ({ item, score: fuzzy(query, `${item.label} ${item.group}`) }))
    .filter((ranked): ranked is { item: Item; score: number } => ranked.score !== null)
    .sort((a, b) => b.score - a.score)
    .slice(0, MOST)
    .map(({ item }) => item);
}

export default function Palette({ onClose }: { onClose: () => void }) {
  const [query, setQuery] = useState("");
  const [active, setActive] = useState(0);
  const all = useItems(query);
  const items = useMemo(() => rank(all, query), [all, query]);
  useEffect(() => setActive(0), [query]);
  useEffect(() => {
    // In a block: newer browsers answer with a promise, which React would take for a cleanup.
    document.getElementById(`palette-${active}`)?.scrollIntoView({ block: "nearest" });
  }, [active]);
  const choose = (item: Item | undefined) => {
    if (item === undefined) return;
    onClose();
    item.go();
  };
  const press = (event: React.KeyboardEvent) => {
    if (event.key === "ArrowDown") setActive((active + 1) % Math.max(1, items.length));
    else if (event.key === "ArrowUp") setActive((active - 1 + items.length) % Math.max(1, items.length));
    else if (event.key === "Enter") choose(items[active]);
    else return;
    event.preventDefault();
  };
  return (
    <Overlay label="Find" className="palette" onClose={onClose}>
      <div className="palette-box">
        <Icon name="search" />
        <input
          autoFocus
          role="combobox"
          aria-expanded
          aria-controls="palette-list"
          aria-activedescendant={items.length > 0 ? `palette-${active}` : undefined}
          aria-label="Find a page, model, table or run"
          placeholder="Find a page, model, table or run"
          value={query}
          onChange={(event) => setQuery(event.target.value)}
          onKeyDown={press}
        />
      </div>
      <ul id="palette-list" role="listbox" aria-label="Found">
        {items.map((item, i) => (
          <li
            key={item.id}
            id={`palette-${i}`}
            role="option"
            aria-selected={i === active}
            onPointerMove={() => setActive(i)}
            onClick={() => choose(item)}
          >
            <Icon name={item.icon} />
            <span className="palette-label">{item.label}</span>
            <span className="note">{item.group === "Pages" ? item.note : `${item.group.replace(/s$/, "")} ${item.note && `· ${item.note}`}`}</span>
          </li>
        ))}
        {items.length === 0 && <li className="nothing">Nothing is called that.</li>}
      </ul>
    </Overlay>
  );
}
