// A metric by a parameter: every run a point, the median and the quartiles of each group behind them.
import { useMemo } from "react";
import type { Run } from "../../lib/records";
import { commonKeys, diffRows } from "../../lib/diff";
import { groupsOf, ranked, type Group } from "../../lib/groups";
import { spell } from "../../lib/describe";
import { brief, number, percent } from "../../lib/format";
import { extent, linear, padded, tickDigits, ticks } from "../../lib/scale";
import { navigate, path, useParam } from "../../lib/router";
import { Card } from "../../components/basics";
import { useWidth } from "../../components/use-width";
import { look } from "./line-chart";

const HEIGHT = 240;
const LEFT = 52;
const BOTTOM = 26;
const MOST_GROUPS = 24;

export function ByGroup({ runs }: { runs: readonly Run[] }) {
  const metrics = useMemo(() => diffRows(runs).filter((row) => row.group === "metrics" && row.differs).map((row) => row.key), [runs]);
  const usual = useMemo(() => commonKeys(runs, (run) => run.metrics).find((key) => metrics.includes(key)) ?? "", [runs, metrics]);
  const [metric, setMetric] = useParam("gm", usual);
  // What tells most of the metric comes first: the parameter one looks for.
  const keys = useMemo(() => ranked(runs, metric), [runs, metric]);
  const [by, setBy] = useParam("gp", keys[0]?.by ?? "");
  const groups = useMemo(() => groupsOf(runs, by, metric), [runs, by, metric]);
  const [ref, width] = useWidth<HTMLDivElement>(500);
  if (keys.length === 0 || metrics.length === 0) return null;
  const share = keys.find((key) => key.by === by)?.share ?? null;
  return (
    <Card
      title="A metric by a parameter"
      className="by-group"
      aside={
        <span className="scatter-pick">
          <select aria-label="Metric of the groups" value={metric} onChange={(event) => setMetric(event.target.value)}>
            {metrics.slice(0, 200).map((key) => (
              <option key={key} value={key}>{spell(key)}</option>
            ))}
          </select>
          <select aria-label="Groups" value={by} onChange={(event) => setBy(event.target.value)}>
            {keys.map((key) => (
              <option key={key.by} value={key.by}>
                by {key.by.slice(2)}
                {key.share !== null && ` (${percent(key.share, 0)})`}
              </option>
            ))}
          </select>
        </span>
      }
    >
      <div ref={ref}>{groups.length > 0 && <Groups groups={groups.slice(0, MOST_GROUPS)} width={width} label={`${spell(metric)} by ${by.slice(2)}`} />}</div>
      <p className="note">
        {share === null ? "Too few runs in each group to say how much it tells." : `${by.slice(2)} goes with ${percent(share, 0)} of how ${spell(metric)} varies among these runs, by itself.`}
        {groups.length > MOST_GROUPS && ` The first ${MOST_GROUPS} of ${groups.length} groups.`}
      </p>
    </Card>
  );
}

/** A group's name in so many letters; of a span that has no room, where it begins. */
function below(name: string, letters: number): string {
  return name.length > letters && /.–/.test(name) ? `${name.replace(/(.)–.*/, "$1")}–` : brief(name).slice(0, letters);
}

function Groups({ groups, width, label }: { groups: readonly Group[]; width: number; label: string }) {
  const range = padded(extent(groups.flatMap((group) => group.runs.map((one) => one.value))) ?? [0, 1]);
  const y = linear(range, [HEIGHT - BOTTOM, 8]);
  const room = (width - LEFT - 8) / groups.length;
  const wide = Math.min(64, room * 0.6);
  const values = ticks(range, 4);
  const digits = tickDigits(values);
  return (
    <svg width={width} height={HEIGHT} role="group" aria-label={label}>
      {values.map((value) => (
        <g key={value}>
          <line className="grid" x1={LEFT} x2={width - 8} y1={y(value)} y2={y(value)} />
          <text className="axis" x={LEFT - 6} y={y(value) + 4} textAnchor="end">{digits > 5 ? number(value) : value.toFixed(digits)}</text>
        </g>
      ))}
      {groups.map((group, i) => {
        const x = LEFT + room * (i + 0.5);
        return (
          <g key={group.name}>
            {group.runs.length > 2 && <rect className="quartiles" x={x - wide / 2} width={wide} y={y(group.high)} height={Math.max(1, y(group.low) - y(group.high))} />}
            <line className="median" x1={x - wide / 2} x2={x + wide / 2} y1={y(group.median)} y2={y(group.median)} />
            {group.runs.map(({ run, value, slot }, j) => (
              // Beside each other by a fixed pattern, so that equal values do not hide.
              <circle key={run.id} className={`run-dot ${look(slot)}`} cx={group.runs.length === 1 ? x : x + (((j * 7) % 11) / 10 - 0.5) * wide * 0.7} cy={y(value)} r={4} onClick={() => navigate(path("runs", run.id))}>
                <title>{`${run.name || run.id}: ${number(value, 4)}`}</title>
              </circle>
            ))}
            <text className="axis" x={x} y={HEIGHT - 8} textAnchor="middle">{below(group.name, Math.max(4, Math.floor(room / 7)))}</text>
          </g>
        );
      })}
    </svg>
  );
}
