// Rows over time: each version a step.
import { useMemo } from "react";
import type { TableVersion } from "../../lib/records";
import { count, DAY, day, signed } from "../../lib/format";
import { extent, linear, nearest, padded, steps, ticks, timeTicks, type Extent, type XY } from "../../lib/scale";
import { Card } from "../../components/basics";
import { Timeline, useCursor, useDomain, usePointer } from "../../components/timeline";
import { useWidth } from "../../components/use-width";

const HEIGHT = 150;
const LEFT = 62;
const RIGHT = 12;
/** Above so many versions a dot for each would only thicken the line. */
const DOTS = 40;

/** Versions oldest first, at least two. */
export function Growth({ versions }: { versions: readonly TableVersion[] }) {
  const domain = useMemo<Extent>(() => {
    const [from, to] = extent(versions.map((v) => v.created_ms)) ?? [0, DAY];
    return from === to ? [from - 1, to + 1] : [from, to];
  }, [versions]);
  return (
    <Timeline domain={domain}>
      <Card title="Growth" aside={<GrowthReadout versions={versions} />}>
        <Drawing versions={versions} />
      </Card>
    </Timeline>
  );
}

function GrowthReadout({ versions }: { versions: readonly TableVersion[] }) {
  const cursor = useCursor();
  const index = cursor === null ? versions.length - 1 : nearest(versions, cursor, (v) => v.created_ms);
  const version = versions[index];
  if (version === undefined) return null;
  const before = versions[index - 1];
  return (
    <span>
      v{version.version}, {day(version.created_ms)}: <b className="value">{count(version.rows)}</b> rows
      {before && <span className="note"> {signed(version.rows - before.rows)}</span>}
    </span>
  );
}

function Drawing({ versions }: { versions: readonly TableVersion[] }) {
  const [ref, width] = useWidth<HTMLDivElement>(1000);
  const domain = useDomain();
  const cursor = useCursor();
  const pointer = usePointer(LEFT, width - RIGHT);
  const range = padded(extent([0, ...versions.map((v) => v.rows)]) ?? [0, 1], 0.06);
  const x = linear(domain, [LEFT, width - RIGHT]);
  const y = linear([0, range[1]], [HEIGHT - 24, 8]);
  const points = versions.map((v): XY => [x(v.created_ms), y(v.rows)]);
  const at = cursor === null ? undefined : versions[nearest(versions, cursor, (v) => v.created_ms)];
  return (
    <div ref={ref} {...pointer}>
      <svg width={width} height={HEIGHT} role="img" aria-label={`Rows of ${versions.length} versions`}>
        {ticks([0, range[1]], 4).map((value) => (
          <g key={value}>
            <line className="grid" x1={LEFT} x2={width - RIGHT} y1={y(value)} y2={y(value)} />
            <text className="axis" x={LEFT - 8} y={y(value) + 4} textAnchor="end">
              {count(value)}
            </text>
          </g>
        ))}
        {timeTicks(domain, Math.max(2, Math.floor(width / 100))).map(({ at: tick, label }) => (
          <text key={tick} className="axis" x={x(tick)} y={HEIGHT - 6} textAnchor={x(tick) > width - 24 ? "end" : "middle"}>
            {label}
          </text>
        ))}
        <path className="band" d={`${steps(points)}V${y(0)}H${points[0]?.[0] ?? LEFT}Z`} />
        <path className="series live" d={steps(points)} />
        {(points.length <= DOTS ? points : []).map(([px, py], i) => (
          <circle key={i} className="series-dot" cx={px} cy={py} r={2.2} />
        ))}
        {at && (
          <>
            <line className="cursor" x1={x(at.created_ms)} x2={x(at.created_ms)} y1={8} y2={HEIGHT - 24} />
            <circle className="cursor-dot" cx={x(at.created_ms)} cy={y(at.rows)} r={3.5} />
          </>
        )}
      </svg>
    </div>
  );
}
