// A graph of models as it is asked: every node, the versions that answer in it, how fast they are, and which fail.
import { BOX, clipped, condition, flow, type FlowBox, type FlowLine } from "../../lib/flow";
import { HOUR, percent } from "../../lib/format";
import { useVerb } from "../../lib/query";
import type { Deployment, GraphNode, GraphTraffic } from "../../lib/records";
import { Link, path, useParam } from "../../lib/router";
import { Answer, Card, Segments } from "../../components/basics";
import { useWidth } from "../../components/use-width";
import { usePoll } from "./use-poll";
import { brief, latency, perSecond, rate } from "./words";

const WINDOW = HOUR / 4;
const MARGIN = { x: 66, y: 8 };
/** Of the card, in pixels: below it a graph is a list, in the order in which a request goes through. */
const NARROW = 560;

interface GraphProps {
  deployment: Deployment;
  deployments: readonly Deployment[];
}

export function GraphCard({ deployment, deployments }: GraphProps) {
  const versions = deployment.routes.map((route) => `${route.version}`);
  const [asked, choose] = useParam("graph", versions[0] ?? "");
  const shown = versions.includes(asked) ? asked : (versions[0] ?? "");
  const declared = useVerb("serving/get_graph", { model: deployment.model, version: Number(shown) });
  const traffic = useVerb("serving/graph_traffic", { model: deployment.model, version: Number(shown), window_ms: WINDOW });
  usePoll(["serving/graph_traffic"], 10_000);
  const [ref, width] = useWidth<HTMLDivElement>(800);
  const told = { deployments, traffic: traffic.data };
  const several = versions.length > 1 && <Segments label="Which version of the graph" value={shown} options={versions.map((value) => ({ value, label: `v${value}` }))} onChange={choose} />;
  return (
    <Card title="Graph" aside={several || (width < NARROW ? "from the request to the answer" : "a request comes in on the left")} className="flow-card">
      <div ref={ref}>
        <Answer query={declared}>{({ graph }) => (width < NARROW ? <ul className="flow-list" aria-label="Graph of models"><Step node={graph} path="graph" {...told} /></ul> : <Drawing graph={graph} {...told} />)}</Answer>
      </div>
      <p className="note">{traffic.error ? `What the nodes answered lately is not known: ${traffic.error.message}` : seen(traffic.data)}</p>
    </Card>
  );
}

type LookupNode = Extract<GraphNode, { type: "lookup" }>;

interface Told {
  deployments: readonly Deployment[];
  traffic: GraphTraffic | undefined;
}

function seen(traffic: GraphTraffic | undefined): string {
  if (traffic?.log_share === 0) return "Nothing of this graph is logged, so nothing is told of its nodes here; /metrics counts them all the same.";
  return "The last 15 min, of this graph's own requests: how many came to a node, the median time from asking it to its answer, the time of 95 %, and the share that it failed.";
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
  if (node?.type !== "model" && node?.type !== "lookup") {
    return (
      <g className="node" transform={`translate(${x} ${y})`}>
        <rect width={w} height={h} rx={h / 2} />
        <text x={w / 2} y={h / 2 + 4} textAnchor="middle">
          {text}
        </text>
      </g>
    );
  }
  const { what, target, lines, failed } = leaf(node, box.path, { deployments, traffic });
  const drawn = <Lines x={x} y={y} lines={lines} failed={failed} />;
  if (target === null) return drawn;
  return (
    <Link to={target} aria-label={`${what} ${lines.join(", ")}`}>
      {drawn}
    </Link>
  );
}

type LeafNode = Extract<GraphNode, { type: "lookup" | "model" }>;

/** What is said of a model or a lookup, and where it leads. */
function leaf(node: LeafNode, at: string, { deployments, traffic }: Told) {
  const [what, target] = node.type === "lookup" ? ["lookup in the table", node.view === "" ? path("data", node.table) : null] : ["model", path("deployments", node.name)];
  const told = figures(at, traffic);
  return { what, target, lines: [...(node.type === "lookup" ? lookup(node) : member(node, deployments)), ...told.lines], failed: told.failed };
}

/** A node of the list, with those below it. */
function Step({ node, path: at, lead = "", ...told }: { node: GraphNode; path: string; lead?: string } & Told) {
  if (node.type === "sequence") return node.steps.map((step, i) => <Step key={i} node={step} path={`${at}.steps[${i}]`} lead={i === 0 ? lead : ""} {...told} />);
  const label = lead && <span className="note">{lead}</span>;
  if (node.type === "model" || node.type === "lookup") {
    const { what, target, lines, failed } = leaf(node, at, told);
    const [name, ...more] = lines;
    const body = (
      <>
        <b>{name}</b>
        {more.map((line, i) => (
          <span key={i} className="note">
            {line}
          </span>
        ))}
      </>
    );
    const look = failed ? "member failing" : "member";
    return (
      <li>
        {label}
        {target === null ? <span className={look}>{body}</span> : <Link to={target} className={look} aria-label={`${what} ${lines.join(", ")}`}>{body}</Link>}
      </li>
    );
  }
  const { text, parts } = branches(node, at);
  return (
    <li>
      {label} {text}
      <ul>
        {parts.map((part) => (
          <Step key={part.path} {...part} {...told} />
        ))}
      </ul>
    </li>
  );
}

/** The branches of a node that has several, each with what leads to it. */
function branches(node: Exclude<GraphNode, LeafNode | { type: "sequence" }>, at: string): { text: string; parts: { node: GraphNode; path: string; lead: string }[] } {
  switch (node.type) {
    case "ensemble":
      return { text: `asks all, then: ${node.combine}`, parts: node.members.map((member, i) => ({ node: member, path: `${at}.members[${i}]`, lead: node.weights.length > 0 ? `weight ${node.weights[i]}` : "" })) };
    case "switch":
      return {
        text: "switch",
        parts: [...node.cases.map((one, i) => ({ node: one.then, path: `${at}.cases[${i}]`, lead: `if ${condition(one.when)}` })), { node: node.otherwise, path: `${at}.otherwise`, lead: "otherwise" }],
      };
    case "splitter":
      return { text: node.sticky === "key" ? "split by key" : "split", parts: node.shares.map((one, i) => ({ node: one.node, path: `${at}.shares[${i}]`, lead: `${Number((one.weight * 100).toFixed(2))}\u202f%` })) };
  }
}

function lookup({ table, view, version, key, columns }: LookupNode): string[] {
  if (view !== "") return [view, `${columns.length === 0 ? "features" : columns.join(", ")} of v${version} as of now`];
  return [table, `adds ${columns.join(", ")} by ${key.join(", ")}`];
}

/** What is said of a model in a graph: its name, and who answers in it. */
function member({ name, version }: { name: string; version: number | null }, deployments: readonly Deployment[]): string[] {
  if (version !== null) return [name, `v${version}, named by the graph`];
  const routes = deployments.find((one) => one.model === name)?.routes;
  return [name, routes === undefined ? "not deployed" : brief(routes)];
}

/** How much a node was asked, how fast it answered, and whether it failed. */
function figures(node: string, traffic: GraphTraffic | undefined): { lines: string[]; failed: boolean } {
  const own = traffic?.nodes.find((one) => one.node === node);
  if (traffic === undefined || own === undefined || own.requests === 0) return { lines: ["not asked lately"], failed: false };
  const often = `${perSecond(rate(traffic, own.requests))} a second`;
  const failed = own.failed > 0;
  const share = failed ? `${percent(own.failed / own.requests, 2)} failed` : "none failed";
  if (own.latency_ms === null) return { lines: [often, share], failed };
  return { lines: [`${often} · ${latency(own.latency_ms)}`, `95 % in ${latency(own.latency_p95_ms)} · ${share}`], failed };
}

function Lines({ x, y, lines, failed }: { x: number; y: number; lines: readonly string[]; failed: boolean }) {
  return (
    <g className={failed ? "node failing" : "node"} transform={`translate(${x} ${y})`}>
      <rect width={BOX.w} height={BOX.h} rx={6} />
      {lines.map((line, i) => (
        <text key={i} x={12} y={19 + 17 * i} className={i > 0 ? "quiet" : "strong"}>
          {clipped(line, 30)}
        </text>
      ))}
      <title>{lines.join("\n")}</title>
    </g>
  );
}
