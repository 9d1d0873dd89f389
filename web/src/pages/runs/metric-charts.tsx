// Each metric over its steps, all charts of the run on one axis with one cursor.
import { useState } from "react";
import type { Metric, Run } from "../../lib/records";
import { useVerb } from "../../lib/query";
import { spell } from "../../lib/describe";
import { number } from "../../lib/format";
import { extent, invert, line, linear, nearest, padded, tickDigits, ticks, type Extent } from "../../lib/scale";
import { Card } from "../../components/basics";
import { useWidth } from "../../components/use-width";

const HEIGHT = 132;
const LEFT = 46;
const RIGHT = 8;
const MOST = 24;

export function MetricCharts({ run }: { run: Run }) {
  const [step, setStep] = useState<number | null>(null);
  const keys = Object.keys(run.metrics).slice(0, MOST);
  if (keys.length === 0) return null;
  return (
    <div className="metric-charts">
      {keys.map((key) => (
        <MetricChart key={key} id={run.id} metric={key} step={step} onStep={setStep} />
      ))}
    </div>
  );
}

interface ChartProps {
  id: string;
  metric: string;
  step: number | null;
  onStep: (step: number | null) => void;
}

/** Nothing is drawn for a metric that was logged once: its value already stands above. */
function MetricChart({ id, metric, step, onStep }: ChartProps) {
  const history = useVerb("tracking/metric_history", { id, key: metric });
  const points = history.data ?? [];
  if (points.length < 2) return null;
  const steps: Extent = [points[0]?.step ?? 0, points.at(-1)?.step ?? 1];
  const at = step === null ? null : (points[nearest(points, step, (p) => p.step)] ?? null);
  const shown = at ?? points.at(-1);
  return (
    <Card
      title={spell(metric)}
      aside={
        <span>
          {at && `step ${number(at.step)}: `}
          <b className="value">{number(shown?.value, 4)}</b>
        </span>
      }
    >
      <Drawing points={points} steps={steps} at={at} onStep={onStep} label={`${spell(metric)} over ${points.length} points`} />
    </Card>
  );
}

function Drawing(props: {
  points: readonly Metric[];
  steps: Extent;
  at: Metric | null;
  onStep: (step: number | null) => void;
  label: string;
}) {
  const { points, steps, at } = props;
  const [ref, width] = useWidth<HTMLDivElement>(360);
  const range = padded(extent(points.map((p) => p.value)) ?? [0, 1]);
  const x = linear(steps, [LEFT, width - RIGHT]);
  const y = linear(range, [HEIGHT - 20, 6]);
  const values = ticks(range, 4);
  const digits = tickDigits(values);
  return (
    <div
      ref={ref}
      className="metric-chart"
      onPointerMove={(event) => {
        const px = event.clientX - event.currentTarget.getBoundingClientRect().left;
        props.onStep(invert(steps, [LEFT, width - RIGHT], px));
      }}
      onPointerLeave={() => props.onStep(null)}
    >
      <svg width={width} height={HEIGHT} role="img" aria-label={props.label}>
        {values.map((value) => (
          <g key={value}>
            <line className="grid" x1={LEFT} x2={width - RIGHT} y1={y(value)} y2={y(value)} />
            <text className="axis" x={LEFT - 6} y={y(value) + 4} textAnchor="end">
              {value.toFixed(digits)}
            </text>
          </g>
        ))}
        {ticks(steps, Math.max(2, Math.floor(width / 90)))
          .filter(Number.isInteger)
          .map((value) => (
            <text key={value} className="axis" x={x(value)} y={HEIGHT - 4} textAnchor={x(value) > width - 24 ? "end" : "middle"}>
              {number(value)}
            </text>
          ))}
        <path className="series live" d={line(points.map((p) => (p.value === null ? null : [x(p.step), y(p.value)])))} />
        {at?.value != null && (
          <>
            <line className="cursor" x1={x(at.step)} x2={x(at.step)} y1={6} y2={HEIGHT - 20} />
            <circle className="cursor-dot" cx={x(at.step)} cy={y(at.value)} r={3} />
          </>
        )}
      </svg>
    </div>
  );
}
