// A Plotly figure drawn by this page, without Plotly: a few kinds of traces, in the page's own colours.
import { useMemo } from "react";
import { readFigure, type Drawn, type Trace } from "../../lib/plotly";
import { brief, number } from "../../lib/format";
import { extent, line, linear, padded, tickDigits, ticks, type Extent, type XY } from "../../lib/scale";
import { useWidth } from "../../components/use-width";
import { look } from "../compare/line-chart";

const HEIGHT = 260;
const LEFT = 52;
const BOTTOM = 40;

export function PlotlyFigure({ figure, name }: { figure: unknown; name: string }) {
  const drawn = useMemo(() => readFigure(figure), [figure]);
  const [ref, width] = useWidth<HTMLDivElement>(420);
  const left = drawn?.left ?? [];
  return (
    <div ref={ref} className="plotly">
      {drawn?.title && <p className="note">{drawn.title}</p>}
      {drawn !== null && drawn.traces.length > 0 && <Plot drawn={drawn} width={width} name={name} />}
      {(drawn === null || left.length > 0) && (
        <p className="note">{drawn === null ? "This is no figure." : `Not drawn here: ${left.join(", ")}. Download it from the files below.`}</p>
      )}
      {drawn !== null && drawn.traces.length > 1 && (
        <ul className="plotly-names">
          {drawn.traces.map((one, i) => (
            <li key={i}>
              <i className={`swatch ${look(i)}`} /> {one.name}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Plot({ drawn, width, name }: { drawn: Drawn; width: number; name: string }) {
  const { traces } = drawn;
  const named = traces.some((one) => one.xs.some((x) => typeof x === "string"));
  const words = named ? [...new Set(traces.flatMap((one) => one.xs.map(String)))] : [];
  const at = (x: number | string) => (named ? words.indexOf(String(x)) : Number(x));
  const bars = traces.filter((one) => one.kind === "bars");
  const across = extent(traces.flatMap((one) => one.xs.map(at))) ?? [0, 1];
  const most = Math.max(1, ...traces.map((one) => one.xs.length));
  const slot = bars.length > 0 ? ((across[1] - across[0] || 1) / Math.max(1, most - 1)) * 0.5 : 0;
  const x = linear([across[0] - slot, across[1] + slot || 1], [LEFT, width - 12]);
  const values = traces.flatMap((one) => one.ys);
  const range: Extent = padded(extent(bars.length > 0 ? [...values, 0] : values) ?? [0, 1]);
  const y = linear(range, [HEIGHT - BOTTOM, 8]);
  const ups = ticks(range, 5);
  const digits = tickDigits(ups);
  const below = named ? words.map((word, i) => ({ at: i, label: brief(word).slice(0, 12) })).filter((_, i) => i % Math.ceil(words.length / Math.max(2, width / 80)) === 0) : ticks(across, 6).map((value) => ({ at: value, label: number(value) }));
  return (
    <svg width={width} height={HEIGHT} role="img" aria-label={name}>
      {ups.map((value) => (
        <g key={value}>
          <line className="grid" x1={LEFT} x2={width - 12} y1={y(value)} y2={y(value)} />
          <text className="axis" x={LEFT - 6} y={y(value) + 4} textAnchor="end">{digits > 5 ? number(value) : value.toFixed(digits)}</text>
        </g>
      ))}
      {below.map((tick) => (
        <text key={tick.at} className="axis" x={x(tick.at)} y={HEIGHT - BOTTOM + 16} textAnchor="middle">{tick.label}</text>
      ))}
      <text className="axis" x={(LEFT + width) / 2} y={HEIGHT - 6} textAnchor="middle">{[drawn.up, drawn.across].filter(Boolean).join(" by ")}</text>
      {traces.map((one, i) => (
        <Marks key={i} trace={one} slot={i} points={one.xs.map((place, j): XY | null => ((v) => (v === null ? null : [x(at(place)), y(v)]))(one.ys[j] ?? null))} zero={y(Math.max(range[0], 0))} bar={bars.indexOf(one)} bars={bars.length} room={(x(across[0] + slot) - x(across[0])) * 1.7} />
      ))}
    </svg>
  );
}

interface MarksProps {
  trace: Trace;
  slot: number;
  points: (XY | null)[];
  zero: number;
  bar: number;
  bars: number;
  room: number;
}

function Marks({ trace, slot, points, zero, bar, bars, room }: MarksProps) {
  if (trace.kind === "line") return <path className={`run-path ${look(slot)}`} d={line(points)} />;
  const wide = Math.max(1, room / Math.max(1, bars));
  return (
    <g className={look(slot)}>
      {points.map((point, i) => {
        if (point === null) return null;
        const [px, py] = point;
        if (trace.kind === "dots") return <circle key={i} className="run-dot" cx={px} cy={py} r={3.5} />;
        return <rect key={i} className="figure-bar" x={px - room / 2 + bar * wide} y={Math.min(py, zero)} width={wide} height={Math.max(1, Math.abs(zero - py))} />;
      })}
    </g>
  );
}
