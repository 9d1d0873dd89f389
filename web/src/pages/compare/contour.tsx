// Two parameters across and up, a metric as the colour: where to look next.
import { useMemo } from "react";
import type { Run } from "../../lib/records";
import { lessIsBetter } from "../../lib/better";
import { strips, type Height } from "../../lib/contour";
import { commonKeys, diffRows, dimension, place, share, type Dimension } from "../../lib/diff";
import { ranked } from "../../lib/groups";
import { spell } from "../../lib/describe";
import { brief, number } from "../../lib/format";
import { navigate, path, useParam } from "../../lib/router";
import { Card } from "../../components/basics";
import { useWidth } from "../../components/use-width";

const HEIGHT = 300;
const EDGE = { left: 62, right: 16, top: 12, bottom: 30 };
const CELL = 9;
const LEVELS = 8;
/** With fewer there is no surface to speak of. */
const FEWEST = 3;

interface Seen extends Height {
  run: Run;
}

export function Contour({ runs }: { runs: readonly Run[] }) {
  const differing = useMemo(() => diffRows(runs).filter((row) => row.differs), [runs]);
  const metrics = useMemo(() => differing.filter((row) => row.group === "metrics").map((row) => row.key), [differing]);
  const usual = useMemo(() => commonKeys(runs, (run) => run.metrics).find((key) => metrics.includes(key)) ?? "", [runs, metrics]);
  const [metric, setMetric] = useParam("cm", usual);
  const keys = useMemo(() => ranked(runs, metric).map((one) => one.by), [runs, metric]);
  const [across, setAcross] = useParam("cx", keys[0] ?? "");
  const [up, setUp] = useParam("cy", keys.find((key) => key !== across) ?? "");
  const [ref, width] = useWidth<HTMLDivElement>(800);
  const [h, v] = [dimension(across, runs), dimension(up, runs)];
  if (keys.length < 2 || metrics.length === 0) return null;
  const seen = h && v ? points(runs, h, v, metric) : [];
  return (
    <Card
      title="A metric over two parameters"
      className="contour"
      aside={
        <span className="scatter-pick">
          <Pick label="Metric as colour" keys={metrics} value={metric} onChange={setMetric} said={spell} />
          <Pick label="Parameter across" keys={keys} value={across} onChange={setAcross} said={(key) => `across ${key.slice(2)}`} />
          <Pick label="Parameter up" keys={keys} value={up} onChange={setUp} said={(key) => `up ${key.slice(2)}`} />
        </span>
      }
    >
      <div ref={ref}>
        {h && v && seen.length >= FEWEST ? (
          <Surface seen={seen} h={h} v={v} metric={metric} width={width} />
        ) : (
          <p className="note">Three runs at least that have both parameters and the metric make a surface; {seen.length === 1 ? "1 has" : `${seen.length} have`} them here.</p>
        )}
      </div>
    </Card>
  );
}

function Pick(props: { label: string; keys: readonly string[]; value: string; onChange: (key: string) => void; said: (key: string) => string }) {
  return (
    <select aria-label={props.label} value={props.value} onChange={(event) => props.onChange(event.target.value)}>
      {props.keys.slice(0, 200).map((key) => (
        <option key={key} value={key}>
          {props.said(key)}
        </option>
      ))}
    </select>
  );
}

function points(runs: readonly Run[], h: Dimension, v: Dimension, metric: string): Seen[] {
  return runs.flatMap((run) => {
    const [a, b, z] = [place(run, h), place(run, v), run.metrics[metric]];
    if (a === null || b === null || a < 0 && h.words || b < 0 && v.words || z == null || !Number.isFinite(z)) return [];
    return [{ run, x: share(a, h), y: share(b, v), z }];
  });
}

interface SurfaceProps {
  seen: readonly Seen[];
  h: Dimension;
  v: Dimension;
  metric: string;
  width: number;
}

function Surface({ seen, h, v, metric, width }: SurfaceProps) {
  const [wide, high] = [Math.max(CELL, width - EDGE.left - EDGE.right), HEIGHT - EDGE.top - EDGE.bottom];
  const [columns, rows] = [Math.ceil(wide / CELL), Math.ceil(high / CELL)];
  const found = useMemo(() => strips(seen, columns, rows, LEVELS), [seen, columns, rows]);
  const x = (part: number) => EDGE.left + part * wide;
  const y = (part: number) => EDGE.top + (1 - part) * high;
  const sorted = [...seen].sort((a, b) => a.z - b.z);
  const [lowest, highest] = [sorted[0], sorted.at(-1)];
  const best = lessIsBetter(metric) ? lowest : highest;
  const said = (axis: Dimension, end: 0 | 1) => (axis.words ? brief(axis.words[end === 0 ? 0 : axis.words.length - 1] ?? "").slice(0, 12) : number(axis.range[end]));
  const name = (axis: Dimension) => `${axis.name}${axis.log ? " (log)" : ""}`;
  return (
    <>
      <svg width={width} height={HEIGHT} role="group" aria-label={`${spell(metric)} over ${h.name} and ${v.name}: ${seen.length} runs`}>
        <g className="surface">
          {found.map(({ column, row, cells, level }) => (
            <rect key={`${column}/${row}`} className={`ramp-${level}`} x={x(column / columns)} y={y((row + 1) / rows)} width={(cells / columns) * wide + 0.4} height={high / rows + 0.4} />
          ))}
        </g>
        <rect className="frame" x={EDGE.left} y={EDGE.top} width={wide} height={high} />
        <text className="axis" x={EDGE.left} y={HEIGHT - 10}>{said(h, 0)}</text>
        <text className="axis" x={EDGE.left + wide / 2} y={HEIGHT - 10} textAnchor="middle">{name(h)}</text>
        <text className="axis" x={EDGE.left + wide} y={HEIGHT - 10} textAnchor="end">{said(h, 1)}</text>
        <text className="axis" x={EDGE.left - 6} y={EDGE.top + high} textAnchor="end">{said(v, 0)}</text>
        <text className="axis" x={EDGE.left - 6} y={EDGE.top + 10} textAnchor="end">{said(v, 1)}</text>
        <text className="axis" transform={`translate(${EDGE.left - 12} ${EDGE.top + high / 2}) rotate(-90)`} textAnchor="middle">{name(v)}</text>
        {seen.map((one) => (
          <circle key={one.run.id} className={one === best ? "tried best" : "tried"} cx={x(one.x)} cy={y(one.y)} r={one === best ? 6 : 3.5} onClick={() => navigate(path("runs", one.run.id))}>
            <title>{`${one.run.name || one.run.id}: ${number(one.z, 4)}`}</title>
          </circle>
        ))}
      </svg>
      <p className="note contour-scale">
        {number(lowest?.z, 4)}
        <svg className="surface" width={LEVELS * 14} height={10} aria-hidden>
          {Array.from({ length: LEVELS }, (_, level) => (
            <rect key={level} className={`ramp-${level}`} x={level * 14} y={0} width={14} height={10} />
          ))}
        </svg>
        {number(highest?.z, 4)}. Every point is a run, the ringed one the best; between them it is guessed from the near ones, and left blank where none is.
      </p>
    </>
  );
}
