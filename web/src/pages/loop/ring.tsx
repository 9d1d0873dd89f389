// The ring: six stages in a circle, closed when everything holds, the measured heart of it in the middle.
import type { LoopStatus, Stage } from "../../lib/records";
import { inUnit, intervalText, limitText, spell, unitOf, windowText } from "../../lib/describe";
import { Link, path } from "../../lib/router";
import { Glyph, type IconName } from "../../components/icon";

const R = 104;
const CX = 196;
const CY = 168;
const ORDER: Stage["name"][] = ["data", "features", "train", "validate", "serve", "watch"];
const GLYPHS: Record<Stage["state"], IconName> = { ok: "check", working: "turn", warn: "warn", bad: "cross", idle: "dash" };
const WORDS: Record<Stage["state"], string> = {
  ok: "in order",
  working: "working",
  warn: "needs a look",
  bad: "broken",
  idle: "nothing yet",
};

const point = (angle: number, radius = R): [number, number] => [
  CX + radius * Math.sin(angle),
  CY - radius * Math.cos(angle),
];

function arc(from: number, to: number): string {
  const [x1, y1] = point(from);
  const [x2, y2] = point(to);
  return `M${x1.toFixed(1)} ${y1.toFixed(1)}A${R} ${R} 0 0 1 ${x2.toFixed(1)} ${y2.toFixed(1)}`;
}

/** A chevron in the middle of an arc: which way the loop turns. */
function chevron(angle: number): string {
  const [tipX, tipY] = point(angle + 0.028);
  const [inX, inY] = point(angle - 0.022, R - 3);
  const [outX, outY] = point(angle - 0.022, R + 3);
  return `M${inX.toFixed(1)} ${inY.toFixed(1)}L${tipX.toFixed(1)} ${tipY.toFixed(1)}L${outX.toFixed(1)} ${outY.toFixed(1)}`;
}

function pageOf(stage: Stage, model: string): string {
  switch (stage.name) {
    case "data":
      return "/data";
    case "features":
      return "/runs?kind=pipeline";
    case "train":
      return "/runs?kind=trial";
    default:
      return path("models", model);
  }
}

export function Ring({ loop }: { loop: LoopStatus }) {
  const stages = ORDER.map(
    (name) => loop.stages.find((s) => s.name === name) ?? { name, label: spell(name), detail: "", state: "idle" as const },
  );
  const words = stages.map((s) => `${s.label}: ${WORDS[s.state]}`).join(", ");
  return (
    <svg className="ring" viewBox="0 0 392 336" role="group" aria-label={`The loop. ${words}.`}>
      <circle className="ring-track" cx={CX} cy={CY} r={R} />
      {stages.map((stage, i) => {
        const next = stages[(i + 1) % stages.length] as Stage;
        const [from, to] = [(i * Math.PI) / 3 + 0.12, ((i + 1) * Math.PI) / 3 - 0.12];
        const reached = stage.state !== "idle" && next.state !== "idle";
        const tone = !reached ? "idle" : next.state === "working" ? "working" : next.state === "bad" ? "bad" : "ok";
        return (
          <g key={stage.name}>
            <path className={`ring-arc ${tone}`} d={arc(from, to)} />
            {reached && <path className="ring-chevron" d={chevron((from + to) / 2)} />}
          </g>
        );
      })}
      {stages.map((stage, i) => (
        <StageMark key={stage.name} stage={stage} index={i} model={loop.model} />
      ))}
      <Heart loop={loop} />
    </svg>
  );
}

/** A detail in as many lines as it needs, broken at its dots ("v4 · p99 6 ms"), and between words where it must be. */
export function detailLines(detail: string, most: number): string[] {
  return detail
    .split(" · ")
    .reduce(filling(" · ", most), [])
    .flatMap((line) => (line.length <= most ? [line] : line.split(" ").reduce(filling(" ", most), [])));
}

/** Puts each part on the last line while it fits there, else on a new one. */
function filling(between: string, most: number) {
  return (lines: string[], part: string): string[] => {
    const last = lines.at(-1);
    if (last === undefined || last.length + between.length + part.length > most) return [...lines, part];
    return [...lines.slice(0, -1), last + between + part];
  };
}

function StageMark({ stage, index, model }: { stage: Stage; index: number; model: string }) {
  const angle = (index * Math.PI) / 3;
  const [x, y] = point(angle);
  const side = Math.sin(angle);
  const anchor = side > 0.1 ? "start" : side < -0.1 ? "end" : "middle";
  const tx = side > 0.1 ? x + 21 : side < -0.1 ? x - 21 : x;
  const ty = index === 0 ? y - 33 : index === 3 ? y + 31 : y - 2;
  const live = stage.name === "serve" && stage.state === "ok";
  return (
    <Link to={pageOf(stage, model)} aria-label={`${stage.label}: ${WORDS[stage.state]}. ${stage.detail}`} className="stage-link">
      <circle className={`stage ${live ? "live" : stage.state}`} cx={x} cy={y} r={13} />
      {live ? (
        <circle className="stage-live" cx={x} cy={y} r={5} />
      ) : (
        <g className={`stage-glyph ${stage.state}`}>
          <Glyph name={GLYPHS[stage.state]} x={x} y={y} size={14} />
        </g>
      )}
      <text className="stage-label" x={tx} y={ty} textAnchor={anchor}>
        {stage.label}
      </text>
      <text className="stage-detail" x={tx} y={ty + 16} textAnchor={anchor}>
        {detailLines(stage.detail, anchor === "middle" ? 40 : 15).map((words, i) => (
          <tspan key={i} x={tx} dy={i === 0 ? 0 : 14}>
            {words}
          </tspan>
        ))}
      </text>
    </Link>
  );
}

function Heart({ loop }: { loop: LoopStatus }) {
  const central = loop.central;
  if (central === null) {
    return (
      <text className="heart-note" x={CX} y={CY + 4} textAnchor="middle">
        not measured yet
      </text>
    );
  }
  const unit = unitOf(central.measure);
  return (
    <g textAnchor="middle">
      <text className="heart-value" x={CX} y={CY - 2}>
        {inUnit(central.value, unit)}
      </text>
      <text className="heart-note" x={CX} y={CY + 17}>
        {intervalText(central.value, central.lo, central.hi, unit)}
      </text>
      <text className="heart-note" x={CX} y={CY + 36}>
        {[central.label, windowText(central.window_ms)].filter(Boolean).join(", ")}
      </text>
      <text className="heart-note" x={CX} y={CY + 52}>
        limit {limitText(central.comparison, central.limit, unit)}
      </text>
    </g>
  );
}
