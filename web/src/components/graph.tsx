// Lineage as a drawing: what was read on the left, what was made on the right.
import type { Lineage, LineageNode } from "../lib/records";
import { layered } from "../lib/layout";
import { moment } from "../lib/format";
import { Link, path } from "../lib/router";
import { Glyph, type IconName } from "./icon";

const W = 160;
const H = 44;
const GAP_X = 44;
const GAP_Y = 14;
/** A wide graph shrinks this far to fit; beyond that it is scrolled. */
const LEAST = 0.8;
const ICONS: Record<string, IconName> = { table: "data", tree: "data", run: "runs", features: "columns", model: "models", report: "tray" };

function pageOf(node: LineageNode): string | null {
  if (node.kind === "table") return path("data", node.label);
  if (node.kind === "model") return path("models", node.label) + (node.version === null ? "" : `?version=${node.version}`);
  if (node.run_id) return path("runs", node.run_id);
  return null;
}

function clip(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

/** A run that reads what it wrote itself only made it: of the two arrows the one out of the run is kept. */
export function madeOnce({ nodes, edges }: Lineage): Lineage["edges"] {
  const runs = new Set(nodes.filter((node) => node.run_id !== null).map((node) => node.id));
  const all = new Set(edges.map((e) => `${e.source}>${e.target}`));
  return edges.filter((e) => runs.has(e.source) || !all.has(`${e.target}>${e.source}`));
}

export function LineageGraph({ lineage, self }: { lineage: Lineage; self?: string }) {
  const edges = madeOnce(lineage);
  const placed = layered(lineage.nodes, edges);
  const lowest = Math.min(...placed.map((p) => p.row));
  const at = new Map(
    placed.map((p) => [p.node.id, { x: p.layer * (W + GAP_X) + 1, y: (p.row - lowest) * (H + GAP_Y) + 1 }]),
  );
  const width = Math.max(...[...at.values()].map((p) => p.x)) + W + 2;
  const height = Math.max(...[...at.values()].map((p) => p.y)) + H + 2;
  return (
    <div className="scroll-x" tabIndex={0} role="group" aria-label="Lineage">
      <svg className="graph" viewBox={`0 0 ${width} ${height}`} width={width} style={{ minWidth: width * LEAST }}>
        {edges.map(({ source, target }) => {
          const [a, b] = [at.get(source), at.get(target)];
          if (!a || !b) return null;
          const [x1, y1, x2, y2] = [a.x + W, a.y + H / 2, b.x, b.y + H / 2];
          const bend = Math.max(24, Math.abs(x2 - x1) / 2);
          return <path key={`${source}>${target}`} className="edge" d={`M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`} />;
        })}
        {placed.map(({ node }) => {
          const spot = at.get(node.id);
          return spot && <Node key={node.id} node={node} x={spot.x} y={spot.y} self={node.id === self} />;
        })}
      </svg>
    </div>
  );
}

function Node({ node, x, y, self }: { node: LineageNode; x: number; y: number; self: boolean }) {
  const target = pageOf(node);
  const version = node.version === null ? "" : ` v${node.version}`;
  const body = (
    <g className={`node ${self ? "self" : ""}`} transform={`translate(${x} ${y})`}>
      <rect width={W} height={H} rx={6} />
      <Glyph name={ICONS[node.kind] ?? "ring"} x={18} y={H / 2} size={14} />
      <text x={34} y={18}>
        {clip(node.label, 18)}
      </text>
      <text x={34} y={34} className="quiet">
        {clip(`${node.kind}${version}`, 22)}
      </text>
      <title>{`${node.label}${version}${node.at_ms ? `\n${moment(node.at_ms)}` : ""}`}</title>
    </g>
  );
  return target ? (
    <Link to={target} aria-label={`${node.kind} ${node.label}${version}`}>
      {body}
    </Link>
  ) : (
    body
  );
}
