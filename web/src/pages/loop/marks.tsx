// Decisions as marks under the chart. Waits are ticks; what changed something is a circle one can press.
import type { Decision } from "../../lib/records";
import { DECISIONS, verdict } from "../../lib/describe";
import { day } from "../../lib/format";
import type { Scale } from "../../lib/scale";
import { Glyph } from "../../components/icon";
import { DECISION_ICONS, focusDecision } from "./focus";

const RADIUS = 9;
const LANES = 2;

interface Spot {
  decision: Decision;
  x: number;
  lane: number;
}

/** Puts marks that would cover each other into the next lane. */
export function lanes(decisions: readonly Decision[], x: Scale, right: number): Spot[] {
  const ends = Array.from({ length: LANES }, () => -Infinity);
  return [...decisions]
    .sort((a, b) => a.at_ms - b.at_ms)
    .map((decision) => {
      const at = Math.min(x(decision.at_ms), right - RADIUS);
      let lane = ends.findIndex((end) => at - end >= 2 * RADIUS + 1);
      if (lane < 0) lane = ends.indexOf(Math.min(...ends));
      ends[lane] = at;
      return { decision, x: at, lane };
    });
}

interface MarksProps {
  decisions: readonly Decision[];
  x: Scale;
  width: number;
  top: number;
  bottom: number;
  height: number;
}

export function Marks({ decisions, x, width, top, bottom, height }: MarksProps) {
  const seen = decisions.filter((d) => x(d.at_ms) >= x(0) && x(d.at_ms) >= 40 && x(d.at_ms) <= width);
  const waits = seen.filter((d) => d.kind === "wait");
  const acts = lanes(seen.filter((d) => d.kind !== "wait"), x, width);
  return (
    <svg className="over marks" width={width} height={height}>
      {waits.map((d) => (
        <line key={d.id} className="wait-tick" x1={x(d.at_ms)} x2={x(d.at_ms)} y1={bottom} y2={bottom + 7}>
          <title>{`${day(d.at_ms)}: ${d.headline}`}</title>
        </line>
      ))}
      {acts.map(({ decision, x: at, lane }) => (
        <Mark key={decision.id} decision={decision} x={at} y={bottom + 18 + lane * (2 * RADIUS + 2)} top={top} />
      ))}
    </svg>
  );
}

function Mark({ decision, x, y, top }: { decision: Decision; x: number; y: number; top: number }) {
  const { tone } = DECISIONS[decision.kind];
  const said = `${day(decision.at_ms)}: ${verdict(decision)}. ${decision.headline}`;
  const open = () => focusDecision(decision.id);
  return (
    <g
      className={`mark ${tone}`}
      role="button"
      tabIndex={0}
      aria-label={said}
      onClick={open}
      onKeyDown={(event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        open();
      }}
    >
      <title>{said}</title>
      <line x1={x} x2={x} y1={top} y2={y - RADIUS} />
      <circle cx={x} cy={y} r={RADIUS} />
      <Glyph name={DECISION_ICONS[decision.kind]} x={x} y={y} size={10} />
    </g>
  );
}
