import { describe, expect, it } from "vitest";
import { BOX, clipped, condition, flow } from "../src/lib/flow";
import type { GraphNode, GraphWhen } from "../src/lib/records";

const member = (name: string): GraphNode => ({ type: "model", name, version: null });
const when = (more: Partial<GraphWhen>): GraphWhen => ({ column: null, parameter: null, op: "==", value: null, ...more });

const all: GraphNode = {
  type: "sequence",
  steps: [
    { type: "lookup", table: "airports", view: "", version: null, key: ["airport"], columns: ["wind"] },
    {
      type: "switch",
      cases: [{ when: when({ column: "wind", op: ">", value: 1 }), then: { type: "ensemble", members: [member("a"), member("b")], combine: "mean", weights: [3, 1] } }],
      otherwise: { type: "splitter", shares: [{ weight: 0.7, node: member("c") }, { weight: 0.3, node: member("d") }], sticky: "request" },
    },
  ],
};

describe("a graph of models", () => {
  it("is drawn with every node once, none over another, each within the drawing", () => {
    const { w, h, boxes, lines } = flow(all);
    expect(boxes.map((box) => box.path).sort()).toEqual([
      "graph.steps[0]", "graph.steps[1]", "graph.steps[1].cases[0]", "graph.steps[1].cases[0].members[0]", "graph.steps[1].cases[0].members[1]",
      "graph.steps[1].otherwise", "graph.steps[1].otherwise.shares[0]", "graph.steps[1].otherwise.shares[1]",
    ]);
    for (const [i, a] of boxes.entries()) {
      expect(a.x >= 0 && a.y >= 0 && a.x + a.w <= w && a.y + a.h <= h).toBe(true);
      for (const b of boxes.slice(i + 1)) expect(a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y).toBe(true);
    }
    expect(lines.every((line) => line.from.x <= line.to.x)).toBe(true);
    expect(lines.map((line) => line.label).filter(Boolean)).toEqual(["wind > 1", "weight 3", "weight 1", "otherwise", "70\u202f%", "30\u202f%"]);
  });
  it("of one model is one box", () => {
    expect(flow(member("a"))).toMatchObject({ ...BOX, lines: [] });
  });
  it("says its conditions", () => {
    expect(condition(when({ parameter: "region", op: "in", value: ["eu", "us"] }))).toBe("parameter region in eu, us");
    expect(condition(when({ column: "tier", op: "missing" }))).toBe("tier missing");
    expect(clipped("a".repeat(30))).toHaveLength(26);
  });
});
