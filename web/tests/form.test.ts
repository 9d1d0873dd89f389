import { describe, expect, it } from "vitest";
import { asJson, inputsOf, python, requestOf, snippet, start, wrong, type Typed } from "../src/pages/deployments/form";
import { moved, promoted, removed, takenBack, withRoute } from "../src/pages/deployments/shares";
import type { Route } from "../src/lib/records";

const TWO: Typed[] = [
  { name: "id", datatype: "INT64", shape: null, texts: ["9007199254740993"] },
  { name: "who's", datatype: "BYTES", shape: null, texts: ["it's null"] },
];

describe("the form of a model", () => {
  it("reads its columns, or its tensors, from the model's own document", () => {
    const inputs = [{ name: "x", datatype: "FP32", shape: [2], data: [1, null] }];
    const of = (examples: unknown) => ({ paths: { "/v2/models/m/infer": { post: { requestBody: { content: { "application/json": { examples } } } } } } });
    expect(inputsOf(of({ tensors: { value: { inputs: [] } }, columns: { value: { inputs } } }))).toEqual([{ ...inputs[0], optional: false }]);
    expect(inputsOf(of({ tensors: { value: { inputs } } }))[0]?.data).toEqual([1, null]);
    expect(inputsOf({})).toEqual([]);
    expect(start(inputs)).toEqual([{ name: "x", datatype: "FP32", shape: null, texts: ["1", ""] }]);
    expect(start([{ name: "x", datatype: "FP32", shape: [1, 2], data: [1, 2] }])[0]?.texts).toEqual(["[1,2]"]);
  });
  it("leaves out what may be left out and is not typed", () => {
    const part = (name: string, optional: boolean) => ({ properties: { name: { const: name } }, "x-optional": optional });
    const inputs = [{ name: "a", datatype: "INT64", shape: [2], data: [1, 2] }, { name: "b", datatype: "BOOL", shape: [2], data: [] }];
    const paths = { "/v2/models/m/infer": { post: { requestBody: { content: { "application/json": { examples: { tensors: { value: { inputs } } } } } } } } };
    const document = { paths, components: { schemas: { Request: { properties: { inputs: { items: { anyOf: [part("a", false), part("b", true)] } } } } } } };
    const typed = start(inputsOf(document)).map((one) => (one.optional ? { ...one, texts: ["", ""] } : one));
    expect(typed.map((one) => one.optional)).toEqual([false, true]);
    expect(wrong(typed)).toEqual([]);
    expect(JSON.parse(requestOf(typed)).inputs.map((one: { name: string }) => one.name)).toEqual(["a"]);
    expect(wrong(typed.map((one) => (one.optional ? { ...one, texts: ["true", ""] } : one)))).toEqual(["b, row 2"]);
  });
  it("takes what a datatype takes", () => {
    expect(asJson("FP32", " 1e3 ")).toBe("1000");
    expect(asJson("FP32", "")).toBe("null");
    expect(asJson("FP32", "far")).toBeNull();
    expect(asJson("INT8", "007")).toBe("7");
    expect(asJson("UINT8", "-1")).toBeNull();
    expect(asJson("INT64", "1.5")).toBeNull();
    expect(asJson("BOOL", "true")).toBe("true");
    expect(wrong([{ name: "x", datatype: "INT32", shape: null, texts: ["1", "a"] }])).toEqual(["x, row 2"]);
    expect(wrong([{ name: "x", datatype: "FP32", shape: [1], texts: ["[1"] }])).toEqual(["x"]);
  });
  it("keeps every digit, and says the same in every language", () => {
    expect(requestOf(TWO)).toContain("[9007199254740993]");
    expect(JSON.parse(requestOf(TWO)).inputs[1].data).toEqual(["it's null"]);
    expect(python('{"a": null, "true": [true, "null"]}')).toBe('{"a": None, "true": [True, "null"]}');
    expect(snippet("curl", "http://h:1", "m", "2", TWO)).toContain("http://h:1/v2/models/m/versions/2/infer -d '{");
    expect(snippet("curl", "http://h:1", "m", "", TWO)).toContain("it'\\''s null");
    expect(snippet("mlflow", "http://h:1", "m", "", TWO)).toContain('ScoringServerClient("h", "1/v2/models/m")');
  });
});

describe("shares", () => {
  const routes: Route[] = [
    { version: 1, weight: 0.7, role: "champion" },
    { version: 2, weight: 0.3, role: "canary" },
    { version: 3, weight: 1, role: "shadow" },
  ];
  const weights = (found: Route[]) => found.map((route) => route.weight);
  it("always add up", () => {
    expect(weights(moved(routes, 2, 0.1))).toEqual([0.9, 0.1, 1]);
    expect(weights(moved(routes, 3, 0.5))).toEqual([0.7, 0.3, 0.5]);
    const three = withRoute(routes, { version: 4, weight: 0.9, role: "canary" });
    expect(weights(three)).toEqual([0, 0.3, 1, 0.7]);
    expect(weights(removed(three, 2))).toEqual([0.3, 1, 0.7]);
    expect(weights(moved(routes, 2, 2))).toEqual([0, 1, 1]);
  });
  it("can be given to one version, or taken back", () => {
    expect(promoted(routes, 2)).toEqual([{ version: 2, weight: 1, role: "champion" }, routes[2]]);
    expect(weights(takenBack(routes))).toEqual([1, 1]);
  });
});
