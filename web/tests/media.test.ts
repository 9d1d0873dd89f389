import { describe, expect, it } from "vitest";
import { atStep, diffLines, groupMedia, readIndex, type Media } from "../src/lib/media";
import { blocks, spans } from "../src/lib/markdown";
import { groupsOf, quantile, told } from "../src/lib/groups";
import type { Run } from "../src/lib/records";
import { readFigure } from "../src/lib/plotly";
import { treeOf } from "../src/lib/tree";
import { arranged } from "../src/pages/media/data-table";
import { unstyled } from "../src/pages/runs/console";

const entry = (over: Partial<Media>): Media => ({ path: "p", kind: "image", key: "k", step: 0, at_ms: 0, caption: "", facts: {}, ...over });

describe("media", () => {
  it("are grouped by kind and key, the steps of all runs together", () => {
    const groups = groupMedia(
      new Map([
        ["a", [entry({ step: 5 }), entry({ step: 1 }), entry({ kind: "text", key: "t" })]],
        ["b", [entry({ step: 3 })]],
      ]),
    );
    expect(groups.map((g) => [g.kind, g.key, g.steps])).toEqual([["image", "k", [1, 3, 5]], ["text", "t", [0]]]);
    expect(atStep(groups[0]?.byRun.get("a") ?? [], 4)?.step).toBe(1);
    expect(atStep(groups[0]?.byRun.get("b") ?? [], 0)?.step).toBe(3);
  });
  it("an index that is none has no entries", () => {
    expect(readIndex("{")).toEqual([]);
    expect(readIndex('[{"kind":"virus","path":"p","key":"k","step":1}, 3]')).toEqual([]);
  });
  it("texts are told line by line", () => {
    expect(diffLines("a\nb\nc", "a\nx\nc\nd")?.map((l) => l.mark[0] + l.text)).toEqual(["sa", "gb", "ax", "sc", "ad"]);
    expect(diffLines("a\n".repeat(2000), "b")).toBeNull();
  });
});

describe("markdown", () => {
  it("becomes blocks, and HTML stays text", () => {
    const found = blocks("# A\n\ntext <b>x</b>\nmore\n\n- one\n  - two\n\n|a|b|\n|-|-|\n|1|2|\n\n```py\n# no\n```\n> said");
    expect(found.map((b) => b.kind)).toEqual(["heading", "text", "list", "table", "code", "quote"]);
    expect(found[1]).toEqual({ kind: "text", spans: [{ kind: "text", text: "text <b>x</b> more" }] });
    expect(found[4]).toEqual({ kind: "code", text: "# no" });
  });
  it("links only to the web", () => {
    expect(spans("[a](javascript:alert`1`) [b](https://x.y) ![c](https://x.y/z.png)").filter((s) => s.kind === "link")).toEqual([
      { kind: "link", text: "b", to: "https://x.y" },
    ]);
  });
  it("ends for any text", () => {
    for (const text of ["```", "> ", "|", "- \n-", "***", "#", "a|b\n-|-", "1. x\n\n  y", "    indented", "-  \n", "\t- x"]) expect(blocks(text)).toBeInstanceOf(Array);
  });
});

it("figures of Plotly are read, packed arrays too", () => {
  const packed = btoa(String.fromCharCode(...new Uint8Array(new Float64Array([1, 2]).buffer)));
  const drawn = readFigure({ data: [{ type: "bar", x: ["a", "b"], y: { dtype: "f8", bdata: packed } }, { type: "sankey" }, { y: [1, null], mode: "markers" }], layout: { title: { text: "<b>T</b>" } } });
  expect(drawn).toMatchObject({ title: "T", left: ["sankey"], traces: [{ kind: "bars", ys: [1, 2] }, { kind: "dots", xs: [0, 1] }] });
  expect(readFigure(3)).toBeNull();
});

it("paths are a tree, single folders told as one", () => {
  const tree = treeOf([{ path: "a/b/c.txt", size: 1 }, { path: "a/b/d.txt", size: 2 }, { path: "e", size: 4 }]);
  expect([tree.count, tree.size, tree.folders[0]?.name, tree.folders[0]?.count]).toEqual([3, 7, "a/b", 2]);
});

it("rows of a table are found and sorted, what is missing last", () => {
  const rows = [["10", "x"], [null, "y"], ["9", "xy"]];
  expect(arranged(rows, "y", 0, false).map((r) => r[0])).toEqual(["9", null]);
  expect(arranged(rows, "", 0, true).map((r) => r[0])).toEqual(["10", "9", null]);
});

it("a console is told without its colours", () => {
  expect(unstyled("\u001b[31mred\u001b[0m\u001b]0;t\u0007!")).toBe("red!");
});

it("a metric is told by the values of a parameter", () => {
  const run = (lr: string, auc: number | null) => ({ id: `${lr}${auc}`, params: { lr }, tags: {}, experiment: "e", metrics: auc === null ? {} : { auc } }) as unknown as Run;
  const groups = groupsOf([run("10", 1), run("2", 3), run("10", 1), run("2", 3), run("2", null)], "p:lr", "auc");
  expect(groups.map((g) => [g.name, g.median, g.runs.length])).toEqual([["2", 3, 2], ["10", 1, 2]]);
  expect(told(groups)).toBe(1);
  const many = groupsOf(Array.from({ length: 40 }, (_, i) => run(`${((i * 7) % 40) / 100}`, i)), "p:lr", "auc");
  expect(many.map((group) => group.runs.length)).toEqual([5, 5, 5, 5, 5, 5, 5, 5]);
  expect(many[0]?.name).toBe("0–0.04");
  expect(many.at(-1)?.name).toBe("0.35–0.39");
  expect(told(many) ?? 1).toBeLessThan(0.5);
  expect(told(groups.slice(0, 1))).toBeNull();
  expect(quantile([1, 2, 4], 0.75)).toBe(3);
});
