import { describe, expect, it } from "vitest";
import { runFilter, runOrder, commonKeys } from "../src/lib/filter";
import { fuzzy } from "../src/lib/fuzzy";
import { layered } from "../src/lib/layout";
import { area, extent, line, linear, invert, nearest, tickDigits, ticks, timeTicks } from "../src/lib/scale";
import { madeOnce } from "../src/components/graph";
import { brief } from "../src/lib/format";
import type { Lineage, Run } from "../src/lib/records";

const run = (over: Partial<Run>): Run => ({
  id: "1",
  experiment: "flights",
  name: "amber-1",
  status: "finished",
  start_ms: 0,
  end_ms: 1000,
  params: { lr: "0.1", optimiser: "adam" },
  metrics: { auc: 0.76 },
  tags: { team: "delay" },
  parent_id: null,
  kind: "run",
  source: "train.py",
  code_version: "",
  error: null,
  ...over,
});

describe("the filter box", () => {
  const fits = (text: string, over: Partial<Run> = {}) => runFilter(text)(run(over));
  it("compares metrics and parameters as numbers", () => {
    expect(fits("auc>0.75")).toBe(true);
    expect(fits("auc > 0.77")).toBe(false);
    expect(fits("lr<=0.1")).toBe(true);
    expect(fits("loss<1")).toBe(false);
    expect(fits("optimiser=adam")).toBe(true);
    expect(fits("optimiser!=adam")).toBe(false);
  });
  it("joins words and named fields by and", () => {
    expect(fits("amber status:finished team:del")).toBe(true);
    expect(fits("amber status:failed")).toBe(false);
    expect(fits("ADAM")).toBe(true);
    expect(fits("   ")).toBe(true);
  });
});

describe("sorting", () => {
  const order = (key: string, runs: Run[]) => [...runs].sort(runOrder(key)).map((one) => one.id);
  it("keeps what has no value last both ways", () => {
    const runs = [
      run({ id: "a", metrics: {} }),
      run({ id: "b", metrics: { auc: 0.7 } }),
      run({ id: "c", metrics: { auc: 0.8 } }),
    ];
    expect(order("m:auc", runs)).toEqual(["b", "c", "a"]);
    expect(order("-m:auc", runs)).toEqual(["c", "b", "a"]);
  });
  it("reads parameters as numbers where they are", () => {
    const runs = [run({ id: "a", params: { n: "10" } }), run({ id: "b", params: { n: "9" } })];
    expect(order("p:n", runs)).toEqual(["b", "a"]);
  });
  it("ranks keys by how many runs have them", () => {
    const runs = [run({ metrics: { rows: 1 } }), run({ metrics: { auc: 1, rows: 1 } })];
    expect(commonKeys(runs, (one) => one.metrics)).toEqual(["rows", "auc"]);
  });
});

describe("a recorded number", () => {
  it("is shortened only when it is long", () => {
    expect(brief("0.05349383864573863")).toBe("0.053494");
    expect(brief("0.1")).toBe("0.1");
    expect(brief("1368057600000")).toBe("1368057600000");
    expect(brief("v1.2.3456789")).toBe("v1.2.3456789");
  });
});

describe("the palette", () => {
  it("prefers whole words at the start", () => {
    const score = (text: string) => fuzzy("fl", text) ?? -1;
    expect(score("flights")).toBeGreaterThan(score("flight-delay"));
    expect(score("flight-delay")).toBeGreaterThan(score("useful list"));
    expect(fuzzy("xyz", "flights")).toBeNull();
    expect(fuzzy("fd", "flight-delay")).not.toBeNull();
  });
});

describe("layout of a lineage", () => {
  const nodes = ["a", "b", "c", "d"].map((id) => ({ id }));
  it("puts what was read left of what was made", () => {
    const edges = [
      { source: "a", target: "c" },
      { source: "b", target: "c" },
      { source: "c", target: "d" },
      { source: "gone", target: "d" },
    ];
    const layer = new Map(layered(nodes, edges).map((placed) => [placed.node.id, placed.layer]));
    for (const { source, target } of edges.slice(0, 3)) {
      expect(layer.get(source)).toBeLessThan(layer.get(target) ?? 0);
    }
  });
  it("ends and keeps every node apart when there is a cycle", () => {
    const edges = [
      { source: "a", target: "b" },
      { source: "b", target: "c" },
      { source: "c", target: "a" },
      { source: "d", target: "d" },
    ];
    const placed = layered(nodes, edges);
    expect(new Set(placed.map((one) => `${one.layer}/${one.row}`)).size).toBe(4);
    expect(placed.filter((one) => one.node.id !== "d").map((one) => one.layer)).toEqual([0, 1, 2]);
  });
  it("lets a run make what it also read back", () => {
    const node = (id: string, run_id: string | null) => ({ id, run_id }) as Lineage["nodes"][number];
    const edges = [
      { source: "table", target: "run" },
      { source: "run", target: "table" },
      { source: "other", target: "run" },
    ];
    const lineage = { nodes: [node("run", "r"), node("table", null), node("other", null)], edges, truncated: false };
    expect(madeOnce(lineage)).toEqual([edges[1], edges[2]]);
  });
});

describe("scales", () => {
  it("invert each other inside the domain", () => {
    const scale = linear([10, 20], [0, 200]);
    expect(invert([10, 20], [0, 200], scale(13.5))).toBeCloseTo(13.5);
    expect(invert([10, 20], [0, 200], -50)).toBe(10);
    expect(linear([5, 5], [0, 100])(5)).toBe(50);
  });
  it("give round ticks that lie inside and can be told apart", () => {
    expect(ticks([0.694, 0.796], 5)).toEqual([0.7, 0.72, 0.74, 0.76, 0.78]);
    expect(tickDigits([0.7, 0.72])).toBe(2);
    expect(ticks([3, 3])).toEqual([3]);
    for (const value of ticks([-1e6, 2.5e6], 4)) expect(Math.abs(value)).toBeLessThanOrEqual(2.5e6);
  });
  it("tick months, days and hours in UTC", () => {
    const year = timeTicks([Date.UTC(2013, 2, 2), Date.UTC(2013, 10, 10)], 12).map((tick) => tick.label);
    expect(year).toEqual(["Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov"]);
    const days = timeTicks([Date.UTC(2013, 2, 2), Date.UTC(2013, 2, 5)], 6).map((tick) => tick.label);
    expect(days).toContain("3 Mar");
    expect(timeTicks([0, 1], 5)).toHaveLength(1);
  });
  it("break lines and bands where nothing was measured", () => {
    expect(line([[0, 0], [1, 1], null, [3, 3]])).toBe("M0.0 0.0L1.0 1.0M3.0 3.0");
    expect(area([{ x: 0, lo: 0, hi: 1 }, null, { x: 2, lo: 0, hi: 1 }])).toBe("");
    expect(extent([null, NaN, 3, undefined, 1])).toEqual([1, 3]);
    expect(extent([null])).toBeNull();
  });
  it("find the nearest point", () => {
    const at = [0, 10, 20, 40];
    expect(nearest(at, 29, (x) => x)).toBe(2);
    expect(nearest(at, 31, (x) => x)).toBe(3);
    expect(nearest(at, -5, (x) => x)).toBe(0);
    expect(nearest(at, 500, (x) => x)).toBe(3);
    expect(nearest([], 1, (x: number) => x)).toBe(-1);
  });
});
