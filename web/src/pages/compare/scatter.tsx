// Any parameter or metric against any other, one point a run.
import { useMemo } from "react";
import type { Run } from "../../lib/records";
import { diffRows, dimension, dimensions, place, share, type Dimension } from "../../lib/diff";
import { spell } from "../../lib/describe";
import { brief, number } from "../../lib/format";
import { navigate, path, useParam } from "../../lib/router";
import { Card } from "../../components/basics";
import { useWidth } from "../../components/use-width";
import { look } from "./line-chart";

const HEIGHT = 250;
const LEFT = 58;
const BOTTOM = 26;

const title = (key: string) => (key.startsWith("m:") ? spell(key.slice(2)) : key.slice(2));

export function Scatter({ runs }: { runs: readonly Run[] }) {
  const [ref, width] = useWidth<HTMLDivElement>(500);
  const usual = useMemo(() => dimensions(runs).map((axis) => axis.key), [runs]);
  const keys = useMemo(
    () =>
      diffRows(runs)
        .filter((row) => row.differs && (row.group === "metrics" || row.group === "parameters"))
        .map((row) => (row.group === "metrics" ? "m:" : "p:") + row.key),
    [runs],
  );
  const [across, setAcross] = useParam("sx", usual[0] ?? "");
  const [up, setUp] = useParam("sy", usual.find((key) => key.startsWith("m:") && key !== usual[0]) ?? usual[1] ?? "");
  const [h, v] = [dimension(across, runs), dimension(up, runs)];
  if (keys.length < 2 || runs.length < 2) return null;
  return (
    <Card
      title="One against another"
      aside={
        <span className="scatter-pick">
          <Pick label="Across" keys={keys} value={across} onChange={setAcross} />
          <Pick label="Up" keys={keys} value={up} onChange={setUp} />
        </span>
      }
    >
      <div ref={ref}>{h && v && <Points runs={runs} h={h} v={v} width={width} />}</div>
    </Card>
  );
}

function Pick(props: { label: string; keys: readonly string[]; value: string; onChange: (key: string) => void }) {
  return (
    <select aria-label={props.label} value={props.value} onChange={(event) => props.onChange(event.target.value)}>
      {props.keys.map((key) => (
        <option key={key} value={key}>
          {title(key)}
        </option>
      ))}
    </select>
  );
}

function Points({ runs, h, v, width }: { runs: readonly Run[]; h: Dimension; v: Dimension; width: number }) {
  const x = (value: number) => LEFT + 10 + share(value, h) * (width - LEFT - 30);
  const y = (value: number) => HEIGHT - BOTTOM - 8 - share(value, v) * (HEIGHT - BOTTOM - 24);
  const ends = (axis: Dimension) => axis.words?.map((_, i) => i) ?? axis.range;
  const told = (axis: Dimension, value: number) => (axis.words ? brief(axis.words[value] ?? "").slice(0, 12) : number(value));
  return (
    <svg width={width} height={HEIGHT} className="scatter" role="group" aria-label={`${title(v.key)} against ${title(h.key)}`}>
      <line className="grid" x1={LEFT} x2={width - 8} y1={HEIGHT - BOTTOM} y2={HEIGHT - BOTTOM} />
      <line className="grid" x1={LEFT} x2={LEFT} y1={8} y2={HEIGHT - BOTTOM} />
      {ends(h).map((value, i) => (
        <text key={i} className="axis" x={x(value)} y={HEIGHT - 8} textAnchor={i === 0 ? "start" : "end"}>{told(h, value)}</text>
      ))}
      {ends(v).map((value, i) => (
        <text key={i} className="axis" x={LEFT - 6} y={y(value) + 4} textAnchor="end">{told(v, value)}</text>
      ))}
      <text className="axis" x={(LEFT + width) / 2} y={HEIGHT - 8} textAnchor="middle">
        {title(h.key)}
        {h.log && " (log)"}
      </text>
      {runs.map((run, slot) => {
        const [a, b] = [place(run, h), place(run, v)];
        if (a === null || b === null || a < 0 || b < 0 && v.words) return null;
        return (
          <circle key={run.id} className={`run-dot ${look(slot)}`} cx={x(a)} cy={y(b)} r={5} onClick={() => navigate(path("runs", run.id))}>
            <title>{`${run.name || run.id}: ${told(h, a)}, ${told(v, b)}`}</title>
          </circle>
        );
      })}
    </svg>
  );
}
