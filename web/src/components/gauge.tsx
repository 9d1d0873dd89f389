// A value, its interval and its limit on one short line: which side is good, and how much room is left.
import { extent, linear } from "../lib/scale";
import type { Tone } from "../lib/describe";

export interface GaugeProps {
  value: number | null;
  lo: number | null;
  hi: number | null;
  limit: number | null;
  /** The side of the limit that is good; null when there is no side. */
  good: ">=" | "<=" | null;
  /** Other values the scale should show, such as the history. */
  also?: readonly (number | null)[];
  tone: Tone;
  width?: number;
  label: string;
}

/** Room for the needle at either end. */
const EDGE = 5;

export function Gauge({ value, lo, hi, limit, good, also = [], tone, width = 112, label }: GaugeProps) {
  const seen = extent([value, lo, hi, limit, ...also]);
  // One number alone has no scale to be drawn on.
  if (seen === null || seen[0] === seen[1]) return <svg className="gauge" width={width} height={20} role="img" aria-label={label} />;
  const room = (seen[1] - seen[0] || Math.abs(seen[1]) || 1) * 0.18;
  // A quantity that cannot be negative starts at zero rather than before it.
  const low = seen[0] >= 0 && seen[0] - room < 0 ? 0 : seen[0] - room;
  const x = linear([low, seen[1] + room], [EDGE, width - EDGE]);
  const from = limit !== null && good === ">=" ? x(limit) : 0;
  const to = limit !== null && good === "<=" ? x(limit) : width;
  return (
    <svg className={`gauge ${tone}`} width={width} height={20} role="img" aria-label={label}>
      <rect className="track" x={0} y={8} width={width} height={4} rx={2} />
      {good !== null && <rect className="good" x={from} y={8} width={Math.max(0, to - from)} height={4} rx={2} />}
      {lo !== null && hi !== null && (
        <rect className="interval" x={x(lo)} y={6} width={Math.max(2, x(hi) - x(lo))} height={8} rx={4} />
      )}
      {limit !== null && <line className="limit-tick" x1={x(limit)} x2={x(limit)} y1={2} y2={18} />}
      {value !== null && <circle className="needle" cx={x(value)} cy={10} r={4} />}
    </svg>
  );
}
