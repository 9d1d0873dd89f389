// A graph of models as it is asked: every node, the versions that answer in it, and how fast they are.
import { BOX, clipped, flow, type FlowBox, type FlowLine } from "../../lib/flow";
import { HOUR } from "../../lib/format";
import { useVerb } from "../../lib/query";
import type { Deployment, GraphNode, Traffic } from "../../lib/records";
import { Link, path, useParam } from "../../lib/router";
import { Answer, Card, Segments } from "../../components/basics";
import { usePoll } from "./use-poll";
import { brief, latency, perSecond, rate } from "./words";

const WINDOW = HOUR / 4;
const MARGIN = { x: 66, y: 8 };

interface GraphProps {
  deployment: Deployment;
  deployments: readonly Deployment[];
}

export function GraphCard({ deployment, deployments }: GraphProps) {
  const versions = deployment.routes.map((route) => `${route.version}`);
  const [asked, choose] = useParam("graph", versions[0] ?? "");
  const shown = versions.includes(asked) ? asked : (versions[0] ?? "");
  const declared = useVerb("serving/get_graph", { model: deployment.model, version: Number(shown) });
  const traffic = useVerb("serving/traffic", { window_ms: WINDOW, points: 1 });
  usePoll(["serving/traffic"], 10_000);
  const several = versions.length > 1 && <Segments label="Which version of the graph" value={shown} options={versions.map((value) => ({ value, label: `v${value}` }))} onChange={choose} />;
  return (
    <Card title="Graph" aside={several || "a request comes in on the left"} className="flow-card">
      <Answer query={declared}>{({ graph }) => <Drawing graph={graph} deployments={deployments} traffic={traffic.data ?? []} />}</Answer>
      <p className="note">Requests and latencies are each model's own in the last 15 min, whoever asked it.</p>
    </Card>
  );
}

interface Told {
  deployments: readonly Deployment[];
  traffic: readonly Traffic[];
}

function Drawing({ graph, ...told }: { graph: GraphNode } & Told) {
  const { w, h, boxes, lines } = flow(graph);
  const [left, right] = [-MARGIN.x, w + MARGIN.x];
  const ends: FlowLine[] = [
    { from: { x: -22, y: h / 2 }, to: { x: 0, y: h / 2 }, label: "", bend: "first" },
    { from: { x: w, y: h / 2 }, to: { x: w + 22, y: h / 2 }, label: "", bend: "first" },
  ];
  return (
    <div className="scroll-x" tabIndex={0} role="group" aria-label="Graph of models">
      <svg className="graph flow" viewBox={`${left} ${-MARGIN.y} ${right - left} ${h + 2 * MARGIN.y}`} width={right - left} style={{ minWidth: (right - left) * 0.8 }}>
        {[...ends, ...lines].map((line, i) => (
          <Line key={i} line={line} />
        ))}
        <text className="axis" x={-26} y={h / 2 + 4} textAnchor="end">
          request
        </text>
        <text className="axis" x={w + 26} y={h / 2 + 4}>
          answer
        </text>
        {boxes.map((box) => (
          <Box key={box.path} box={box} {...told} />
        ))}
      </svg>
    </div>
  );
}

function Line({ line: { from, to, label, bend } }: { line: FlowLine }) {
  const wide = Math.min(28, to.x - from.x);
  const x = bend === "first" ? from.x : to.x - wide;
  return (
    <>
      <path className="edge" d={`M${from.x} ${from.y}L${x} ${from.y}C${x + wide} ${from.y} ${x} ${to.y} ${x + wide} ${to.y}L${to.x} ${to.y}`} />
      {label && (
        <text className="axis" x={to.x - 6} y={to.y - 6} textAnchor="end">
          {label}
        </text>
      )}
    </>
  );
}

function Box({ box, deployments, traffic }: { box: FlowBox } & Told) {
  const { x, y, w, h, node, text } = box;
  if (node?.type === "lookup") {
    return (
      <Link to={path("data", node.table)} aria-label={`lookup in the table ${node.table}`}>
        <Lines x={x} y={y} lines={[`${node.table}, looked up`, `by ${node.key.join(", ")}`, `adds ${node.columns.join(", ")}`]} />
      </Link>
    );
  }
  if (node?.type !== "model") {
    return (
      <g className="node" transform={`translate(${x} ${y})`}>
        <rect width={w} height={h} rx={h / 2} />
        <text x={w / 2} y={h / 2 + 4} textAnchor="middle">
          {text}
        </text>
      </g>
    );
  }
  const lines = member(node, deployments, traffic);
  return (
    <Link to={path("deployments", node.name)} aria-label={`model ${lines.join(", ")}`}>
      <Lines x={x} y={y} lines={lines} />
    </Link>
  );
}

/** What is said of a model in a graph: its name, who answers in it, how much and how fast. */
function member(node: { name: string; version: number | null }, deployments: readonly Deployment[], traffic: readonly Traffic[]): string[] {
  const own = traffic.find((one) => one.model === node.name);
  const pinned = own?.versions.find((one) => one.version === node.version && one.route === "direct");
  const seen = node.version === null ? own : pinned;
  const routes = deployments.find((one) => one.model === node.name)?.routes;
  const who = node.version === null ? (routes === undefined ? "not deployed" : brief(routes)) : `v${node.version}, named by the graph`;
  if (own === undefined || seen === undefined || seen.requests === 0) return [node.name, who, "not asked lately"];
  return [node.name, who, `${perSecond(rate(own, seen.requests))} a second · ${latency(seen.latency_ms)}`];
}

function Lines({ x, y, lines }: { x: number; y: number; lines: readonly string[] }) {
  return (
    <g className="node" transform={`translate(${x} ${y})`}>
      <rect width={BOX.w} height={BOX.h} rx={6} />
      {lines.map((line, i) => (
        <text key={i} x={12} y={19 + 17 * i} className={i > 0 ? "quiet" : "strong"}>
          {clipped(line, 29)}
        </text>
      ))}
      <title>{lines.join("\n")}</title>
    </g>
  );
}
