// Charts of every metric of one or several runs, on one axis with one cursor, and how they are drawn.
import "./compare.css";
import { useMemo, useRef, useState } from "react";
import type { MetricCurve, Run } from "../../lib/records";
import { useVerb } from "../../lib/query";
import { spell } from "../../lib/describe";
import { commonKeys } from "../../lib/diff";
import { extent } from "../../lib/scale";
import { setParams, useParam } from "../../lib/router";
import { plural } from "../../lib/format";
import { lessIsBetter } from "../../lib/better";
import { grouped, groupOf, toCurve, type Curve, type XAxis } from "../../lib/curves";
import { Segments, Skeleton, Trouble } from "../../components/basics";
import { Timeline } from "../../components/timeline";
import { LineChart } from "./line-chart";

const FIRST = 6;
const MORE = 12;
const SERIES = 500;
const AXES = [
  { value: "step", label: "step" },
  { value: "time", label: "time since start" },
  { value: "clock", label: "clock" },
] as const;

export function MetricSection({ runs }: { runs: readonly Run[] }) {
  const [axisText] = useParam("x", "step");
  const [smoothing, setSmoothing] = useParam("smooth", "0");
  const [by, setBy] = useParam("group");
  const [log, setLog] = useParam("log");
  const [zoomText, setZoom] = useParam("zoom");
  const [many, setMany] = useState(FIRST);
  const axis = axisText as XAxis;
  const every = useMemo(() => commonKeys(runs, (run) => run.metrics), [runs]);
  const other = axis.startsWith("m:") ? axis.slice(2) : null;
  const keys = every.filter((key) => key !== other).slice(0, many);
  const asked = other === null ? keys : [...keys, other];
  const points = runs.length > 20 ? 120 : 300;
  const ids = runs.slice(0, Math.max(1, Math.floor(SERIES / Math.max(1, asked.length)))).map((run) => run.id);
  const zoom = stretch(zoomText);
  // Steps can be asked for: what a whole course had to leave out is there when one looks closer.
  const closer = zoom !== null && axis === "step" ? { from_step: Math.floor(zoom[0]), to_step: Math.ceil(zoom[1]) } : {};
  const curves = useVerb("tracking/metric_curves", asked.length === 0 ? null : { ids, keys: asked, points, ...closer });
  // While what lies closer is on its way, what was there before stands.
  const before = useRef(curves.data);
  if (curves.data !== undefined) before.current = curves.data;
  const found = curves.data ?? before.current;
  const weight = Math.min(0.99, Math.max(0, Number(smoothing) || 0));
  const charts = useMemo(
    () => (found === undefined ? null : draw(runs, keys, found, { axis, other, weight, by })),
    [runs, keys.join("\n"), found, axis, other, weight, by],
  );
  if (every.length === 0) return null;
  const whole = extent((charts ?? []).flatMap((chart) => chart.curves.flatMap((c) => [c.xs[0], c.xs.at(-1)]))) ?? [0, 1];
  // A metric that was logged once is a figure, not a course: its value stands in the table.
  const drawn = (charts ?? []).filter((chart) => chart.curves.some((c) => c.xs.length > 1));
  if (charts !== null && drawn.length === 0) return null;
  const turn = (to: string) => setParams({ x: to === "step" ? "" : to, zoom: "" }); // a stretch is one of its own axis
  return (
    <section className="metric-section" aria-label="Metrics">
      <div className="toolbar chart-bar">
        <Segments label="Axis" value={axisText} options={AXES} onChange={turn} />
        <AxisMetric keys={every} axis={axis} onChange={turn} />
        <label className="slider">
          smooth
          <input type="range" min={0} max={0.99} step={0.01} value={weight} onChange={(event) => setSmoothing(event.target.value)} />
          <span className="value">{weight.toFixed(2)}</span>
        </label>
        <label className="check">
          <input type="checkbox" checked={log === "1"} onChange={(event) => setLog(event.target.checked ? "1" : "")} />
          log scale
        </label>
        {runs.length > 1 && <GroupBy runs={runs} by={by} onChange={setBy} />}
        {zoom === null ? (
          <span className="note">draw over a chart to look closer</span>
        ) : (
          <button type="button" className="ghost" onClick={() => setZoom("")}>
            whole course
          </button>
        )}
      </div>
      {curves.error && charts === null && <Trouble error={curves.error} />}
      {charts === null && !curves.error && <Skeleton lines={6} />}
      <Timeline domain={zoom ?? whole} onZoom={(to) => setZoom(to === null ? "" : to.map((at) => String(Number(at.toPrecision(15)))).join("~"))}>
        <div className={`line-charts ${curves.data === undefined ? "stale" : ""}`} aria-busy={curves.data === undefined}>
          {drawn.map(({ key, curves: lines }) => (
            <LineChart key={key} title={spell(key)} curves={lines} axis={axis} log={log === "1"} less={lessIsBetter(key)} named={by !== ""} />
          ))}
        </div>
      </Timeline>
      {every.length > many && (
        <button type="button" className="ghost more" onClick={() => setMany(many + MORE)}>
          show {plural(Math.min(MORE, every.length - many), "more metric")} of {every.length - many}
        </button>
      )}
    </section>
  );
}

/** "120~480", from a smaller to a greater place on the axis; null for anything else. */
function stretch(text: string): [number, number] | null {
  const [from, to, ...more] = text.split("~").map(Number);
  const sound = from !== undefined && to !== undefined && more.length === 0 && Number.isFinite(from) && Number.isFinite(to);
  return text !== "" && sound && from < to ? [from, to] : null;
}

interface How {
  axis: XAxis;
  other: string | null;
  weight: number;
  by: string;
}

function draw(runs: readonly Run[], keys: readonly string[], curves: readonly MetricCurve[], how: How) {
  const found = new Map(curves.map((curve) => [`${curve.run} ${curve.key}`, curve]));
  return keys.map((key) => {
    const lines = runs.flatMap((run, slot): Curve[] => {
      const curve = found.get(`${run.id} ${key}`);
      const other = how.other === null ? undefined : found.get(`${run.id} ${how.other}`);
      return curve === undefined ? [] : [toCurve(run, slot, curve, how.axis, how.weight, other)];
    });
    return { key, curves: how.by === "" ? lines : bands(runs, lines, how.by) };
  });
}

function bands(runs: readonly Run[], lines: readonly Curve[], by: string): Curve[] {
  const groups = new Map<string, Curve[]>();
  for (const run of runs) groups.set(groupOf(run, by), []);
  const own = new Map(runs.map((run) => [run.id, groupOf(run, by)]));
  for (const one of lines) groups.get(own.get(one.id) ?? "")?.push(one);
  return [...groups].flatMap(([name, members], slot) => (members.length === 0 ? [] : [grouped(name, slot, members)]));
}

function AxisMetric({ keys, axis, onChange }: { keys: readonly string[]; axis: string; onChange: (axis: string) => void }) {
  if (keys.length < 2) return null;
  return (
    <select aria-label="A metric as the axis" value={axis.startsWith("m:") ? axis : ""} onChange={(event) => onChange(event.target.value || "step")}>
      <option value="">by a metric…</option>
      {keys.slice(0, 200).map((key) => (
        <option key={key} value={`m:${key}`}>
          by {spell(key)}
        </option>
      ))}
    </select>
  );
}

function GroupBy({ runs, by, onChange }: { runs: readonly Run[]; by: string; onChange: (by: string) => void }) {
  const params = useMemo(() => commonKeys(runs, (run) => run.params), [runs]);
  const tags = useMemo(() => commonKeys(runs, (run) => run.tags), [runs]);
  return (
    <select aria-label="Group runs by" value={by} onChange={(event) => onChange(event.target.value)}>
      <option value="">each run a line</option>
      <option value="experiment">group by experiment</option>
      {params.slice(0, 100).map((key) => (
        <option key={`p${key}`} value={`p:${key}`}>
          group by {key}
        </option>
      ))}
      {tags.slice(0, 100).map((key) => (
        <option key={`t${key}`} value={`t:${key}`}>
          group by tag {key}
        </option>
      ))}
    </select>
  );
}
