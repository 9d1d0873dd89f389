// What runs logged to be looked at, at one step that all of it shares; the runs beside each other.
import "./media.css";
import { useMemo, useState } from "react";
import type { Run } from "../../lib/records";
import { allSteps, atStep, groupMedia, type Media, type MediaGroup } from "../../lib/media";
import { useVerb } from "../../lib/query";
import { number, plural } from "../../lib/format";
import { useParam } from "../../lib/router";
import { Card, Segments } from "../../components/basics";
import { look } from "../compare/line-chart";
import { MediaView } from "./media-view";

const MOST_RUNS = 24;
const FIRST = 8;
const STRIP = 60;
const SIZES = [
  { value: "s", label: "small" },
  { value: "m", label: "medium" },
  { value: "l", label: "large" },
] as const;

/** `none` is said where nothing was logged; without it nothing is shown then. */
export function MediaSection({ runs, none }: { runs: readonly Run[]; none?: string }) {
  const shown = runs.slice(0, MOST_RUNS);
  const found = useVerb("tracking/list_media", shown.length === 0 ? null : { ids: shown.map((run) => run.id) });
  const groups = useMemo(() => groupMedia(new Map(Object.entries(found.data ?? {}))), [found.data]);
  const [at, setAt] = useParam("at");
  const [size, setSize] = useParam("size", "m");
  const [strip, setStrip] = useParam("strip");
  const [text, setText] = useState("");
  const [most, setMost] = useState(FIRST);
  if (groups.length === 0) return none !== undefined && found.data !== undefined ? <p className="quiet none">{none}</p> : null;
  const steps = allSteps(groups);
  const step = at === "" ? (steps.at(-1) as number) : Number(at);
  const fitting = groups.filter((group) => group.key.toLowerCase().includes(text.toLowerCase()) || group.kind.startsWith(text.toLowerCase()));
  return (
    <section className={`media-section size-${size}`} aria-label="Media">
      <div className="toolbar">
        {steps.length > 1 && strip !== "1" && <StepSlider steps={steps} step={step} onStep={(next) => setAt(next === steps.at(-1) ? "" : String(next))} />}
        {steps.length > 1 && (
          <label className="check">
            <input type="checkbox" checked={strip === "1"} onChange={(event) => setStrip(event.target.checked ? "1" : "")} />
            every step
          </label>
        )}
        <Segments label="Size" value={size as "s" | "m" | "l"} options={SIZES} onChange={setSize} />
        {groups.length > FIRST && (
          <input type="text" className="small-search" aria-label="Find media" placeholder="Find by name or kind" value={text} onChange={(event) => setText(event.target.value)} />
        )}
        <span className="note found">
          {plural(groups.length, "name")}, {plural(steps.length, "step")}
          {runs.length > MOST_RUNS && `, the first ${MOST_RUNS} runs`}
        </span>
      </div>
      <div className="media-cards">
        {fitting.slice(0, most).map((group) => (
          <GroupCard key={group.kind + group.key} group={group} runs={shown} step={step} strip={strip === "1"} />
        ))}
      </div>
      {fitting.length > most && (
        <button type="button" className="ghost more" onClick={() => setMost(most + 24)}>
          show more of {fitting.length - most}
        </button>
      )}
    </section>
  );
}

function StepSlider({ steps, step, onStep }: { steps: readonly number[]; step: number; onStep: (step: number) => void }) {
  const index = Math.max(0, steps.findLastIndex((one) => one <= step));
  return (
    <label className="slider steps-slider">
      step
      <input
        type="range"
        min={0}
        max={steps.length - 1}
        value={index}
        aria-valuetext={`step ${steps[index]}`}
        onChange={(event) => onStep(steps[Number(event.target.value)] as number)}
      />
      <span className="value">{number(steps[index])}</span>
    </label>
  );
}

/** One name: a panel for each run, or for each step of each run. */
function GroupCard({ group, runs, step, strip }: { group: MediaGroup; runs: readonly Run[]; step: number; strip: boolean }) {
  const having = runs.flatMap((run, slot) => {
    const entries = group.byRun.get(run.id);
    return entries === undefined ? [] : [{ run, slot, entries }];
  });
  const wide = group.kind === "table" || group.kind === "text" || group.kind === "audio" || having.length > 1 || (strip && group.steps.length > 1);
  const first = having[0];
  return (
    <Card title={group.key} className={`media-card ${wide ? "wide" : ""} ${having.length === 1 ? "single" : ""}`} aside={`${group.kind}${group.steps.length > 1 ? `, ${plural(group.steps.length, "step")}` : ""}`}>
      {having.map(({ run, slot, entries }) => {
        const panels = strip ? thinned(entries) : [atStep(entries, step) as Media];
        return (
          <div key={run.id} className={`media-run ${look(slot)}`}>
            {runs.length > 1 && (
              <p className="media-of">
                <i className={`swatch ${look(slot)}`} /> {run.name || run.id.slice(0, 8)}
              </p>
            )}
            <div className={strip ? "media-strip" : "media-one"}>
              {panels.map((entry) => (
                <figure key={entry.path}>
                  <MediaView
                    run={run}
                    entry={entry}
                    range={rangeOf(group)}
                    base={first && first.run !== run ? { run: first.run.id, path: (atStep(first.entries, entry.step) as Media).path } : null}
                  />
                  <figcaption className="note">
                    {[entry.caption, group.steps.length > 1 ? `step ${number(entry.step)}` : ""].filter(Boolean).join(" · ")}
                  </figcaption>
                </figure>
              ))}
            </div>
          </div>
        );
      })}
    </Card>
  );
}

/** At most sixty of them, evenly, with the first and the last. */
function thinned(entries: readonly Media[]): readonly Media[] {
  if (entries.length <= STRIP) return entries;
  return Array.from({ length: STRIP }, (_, i) => entries[Math.round((i * (entries.length - 1)) / (STRIP - 1))] as Media);
}

/** From the smallest to the largest value that any histogram of the group holds, so that all stand on one axis. */
function rangeOf(group: MediaGroup): [number, number] | null {
  if (group.kind !== "histogram") return null;
  const all = [...group.byRun.values()].flat();
  const lows = all.flatMap((entry) => entry.facts.min ?? []);
  const highs = all.flatMap((entry) => entry.facts.max ?? []);
  return lows.length === 0 || highs.length === 0 ? null : [Math.min(...lows), Math.max(...highs)];
}
