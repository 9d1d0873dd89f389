// Where the nodes of a graph of models stand when it is drawn from left to right: what a request meets first is left.
import type { GraphNode, GraphWhen } from "./records";

export const BOX = { w: 184, h: 79 };
const SMALL = { w: 72, h: 40 };
const GAP_X = 36;
const GAP_Y = 14;
/** Of a character of a label, in pixels. */
const LETTER = 6.3;
const LABEL_MOST = 26;

export interface Spot {
  x: number;
  y: number;
}
/** A box of the drawing. `node` is missing where branches only come together; `text` is what a small box says. */
export interface FlowBox extends Spot {
  path: string;
  w: number;
  h: number;
  node: GraphNode | null;
  text: string;
}
export interface FlowLine {
  from: Spot;
  to: Spot;
  /** Told above the line's end: a condition, a share. */
  label: string;
  /** Where it changes its height: where branches part, or where they come together. */
  bend: "first" | "last";
}
export interface Flow {
  w: number;
  h: number;
  boxes: FlowBox[];
  lines: FlowLine[];
}

/** The drawing of a graph, within (0, 0) and (w, h); requests come in and go out at half its height. */
export function flow(node: GraphNode, path = "graph"): Flow {
  switch (node.type) {
    case "sequence":
      return inRow(node.steps.map((step, i) => flow(step, `${path}.steps[${i}]`)));
    case "ensemble": {
      const weighed = node.weights.length > 0;
      const branches = node.members.map((member, i) => ({ flow: flow(member, `${path}.members[${i}]`), label: weighed ? `weight ${node.weights[i]}` : "" }));
      return inColumn(branches, null, small(path, node, node.combine));
    }
    case "switch": {
      const cases = node.cases.map((one, i) => ({ flow: flow(one.then, `${path}.cases[${i}]`), label: condition(one.when) }));
      return inColumn([...cases, { flow: flow(node.otherwise, `${path}.otherwise`), label: "otherwise" }], small(path, node, "switch"), null);
    }
    case "splitter": {
      const shares = node.shares.map((one, i) => ({ flow: flow(one.node, `${path}.shares[${i}]`), label: `${Number((one.weight * 100).toFixed(2))}\u202f%` }));
      return inColumn(shares, small(path, node, node.sticky === "key" ? "split by key" : "split"), null);
    }
    default:
      return { ...BOX, boxes: [{ x: 0, y: 0, ...BOX, path, node, text: "" }], lines: [] };
  }
}

/** "wind > 1", "tier missing", "parameter region in eu, us". */
export function condition(when: GraphWhen): string {
  const name = when.column ?? `parameter ${when.parameter}`;
  if (when.op === "missing") return `${name} missing`;
  return `${name} ${when.op} ${Array.isArray(when.value) ? when.value.join(", ") : when.value}`;
}

/** A label cut to what there is room for. */
export function clipped(text: string, most = LABEL_MOST): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

function small(path: string, node: GraphNode, text: string): FlowBox {
  return { x: 0, y: 0, w: Math.max(SMALL.w, text.length * 7 + 20), h: SMALL.h, path, node, text };
}

function moved({ boxes, lines }: Flow, x: number, y: number): Pick<Flow, "boxes" | "lines"> {
  const shift = (spot: Spot) => ({ x: spot.x + x, y: spot.y + y });
  return { boxes: boxes.map((box) => ({ ...box, ...shift(box) })), lines: lines.map((line) => ({ ...line, from: shift(line.from), to: shift(line.to) })) };
}

function inRow(steps: readonly Flow[]): Flow {
  const h = Math.max(...steps.map((step) => step.h));
  const all: Flow = { w: 0, h, boxes: [], lines: [] };
  steps.forEach((step, i) => {
    if (i > 0) {
      all.lines.push({ from: { x: all.w, y: h / 2 }, to: { x: all.w + GAP_X, y: h / 2 }, label: "", bend: "first" });
      all.w += GAP_X;
    }
    const { boxes, lines } = moved(step, all.w, (h - step.h) / 2);
    all.boxes.push(...boxes);
    all.lines.push(...lines);
    all.w += step.w;
  });
  return all;
}

function inColumn(branches: readonly { flow: Flow; label: string }[], head: FlowBox | null, tail: FlowBox | null): Flow {
  const lead = GAP_X + Math.max(...branches.map(({ label }) => clipped(label).length)) * LETTER;
  const widest = Math.max(...branches.map((branch) => branch.flow.w));
  const height = branches.reduce((sum, branch) => sum + branch.flow.h, GAP_Y * (branches.length - 1));
  const h = Math.max(height, head?.h ?? 0, tail?.h ?? 0);
  const from = { x: head?.w ?? 0, y: h / 2 };
  const to = { x: from.x + lead + widest + GAP_X, y: h / 2 };
  const all: Flow = { w: to.x + (tail?.w ?? 0), h, boxes: [], lines: [] };
  if (head) all.boxes.push({ ...head, y: (h - head.h) / 2 });
  let top = (h - height) / 2;
  for (const { flow: branch, label } of branches) {
    const middle = top + branch.h / 2;
    const { boxes, lines } = moved(branch, from.x + lead, top);
    all.boxes.push(...boxes);
    all.lines.push({ from, to: { x: from.x + lead, y: middle }, label: clipped(label), bend: "first" }, ...lines, { from: { x: from.x + lead + branch.w, y: middle }, to, label: "", bend: "last" });
    top += branch.h + GAP_Y;
  }
  if (tail) all.boxes.push({ ...tail, x: to.x, y: (h - tail.h) / 2 });
  return all;
}
