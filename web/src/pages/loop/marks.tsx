// Decisions on the page's time axis. Waits are dots; what changed something is a circle one can press.
import type { Decision } from "../../lib/records";
import { DECISIONS, verdict } from "../../lib/describe";
import { day } from "../../lib/format";
import type { Extent, Scale } from "../../lib/scale";
import { Glyph } from "../../components/icon";
import { DECISION_ICONS, focusDecision } from "./focus";

const RADIUS = 9;
const LANE = 2 * RADIUS + 3;
const LANES = 4;

interface Spot {
  decision: Decision;
  x: number;
  lane: number;
}

/** Puts marks that would cover each other into the next lane. */
export function lanes(decisions: readonly Decision[], x: Scale): Spot[] {
  const ends = Array.from({ length: LANES }, () => -Infinity);
  // The list comes newest first; of two at the same moment the later one shall stand lower.
  return [...decisions]
    .reverse()
    .sort((a, b) => a.at_ms - b.at_ms)
    .map((decision) => {
      const at = x(decision.at_ms);
      let lane = ends.findIndex((end) => at - end >= LANE);
      if (lane < 0) lane = ends.indexOf(Math.min(...ends));
      ends[lane] = at;
      return { decision, x: at, lane };
    });
}

interface MarksProps {
  decisions: readonly Decision[];
  domain: Extent;
  x: Scale;
  width: number;
  left: number;
  top: number;
  /** Where the first lane begins. */
  floor: number;
}

export function Marks({ decisions, domain, x, width, left, top, floor }: MarksProps) {
  const seen = decisions.filter((d) => d.at_ms >= domain[0] && d.at_ms <= domain[1]);
  const acts = lanes(seen.filter((d) => d.kind !== "wait"), x);
  const used = Math.max(1, ...acts.map((spot) => spot.lane + 1));
  const middle = floor + RADIUS + 3;
  return (
    <>
      <svg className="over marks" width={width} height={floor + used * LANE + 3}>
        <line className="mark-lane" x1={left} x2={width} y1={middle} y2={middle} />
        <text className="axis" x={0} y={middle + 4} aria-hidden>
          decided
        </text>
        {seen
          .filter((d) => d.kind === "wait")
          .map((d) => (
            <circle key={d.id} className="wait-dot" cx={x(d.at_ms)} cy={middle} r={2}>
              <title>{`${day(d.at_ms)}: ${d.headline}`}</title>
            </circle>
          ))}
        {acts.map(({ decision, x: at, lane }) => (
          <Mark key={decision.id} decision={decision} x={at} y={middle + lane * LANE} top={top} />
        ))}
      </svg>
      {/* The marks lie over the plot, so the space below it is kept by an empty drawing. */}
      <svg width={1} height={used * LANE + 3} aria-hidden />
    </>
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
