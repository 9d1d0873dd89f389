// The form of a model: its inputs from its own description, what is typed as a request, and the same request to copy.

/** An input as the data plane describes it, with the values of its example. */
export interface Input {
  name: string;
  datatype: string;
  shape: number[];
  data: unknown[];
  /** Whether requests may come without it. */
  optional?: boolean;
}
/** What is typed: a text for each row of a column, or one text for a whole tensor. */
export interface Typed {
  name: string;
  datatype: string;
  /** The shape of a tensor; null for a column, which has as many rows as there are texts. */
  shape: number[] | null;
  texts: string[];
  /** Whether it is left out of the request when nothing is typed. */
  optional?: boolean;
}

interface Described {
  name?: { const?: string };
}
type Shapes = { items?: { anyOf?: { properties?: Described; "x-optional"?: boolean }[] } };

/** The inputs in a model's OpenAPI document: its columns where it has them, else its tensors. */
export function inputsOf(document: unknown): Input[] {
  const { paths = {}, components } = (document as { paths?: Record<string, unknown>; components?: { schemas?: { Request?: { properties?: { inputs?: Shapes & { anyOf?: Shapes[] } } } } } } | null) ?? {};
  const infer = Object.entries(paths).find(([path]) => path.endsWith("/infer"))?.[1];
  const content = (infer as { post?: { requestBody?: { content?: Record<string, unknown> } } } | undefined)?.post?.requestBody?.content;
  const json = content?.["application/json"] as { examples?: Record<string, { value?: { inputs?: Input[] } }> } | undefined;
  const ways = components?.schemas?.Request?.properties?.inputs;
  const known = (ways?.anyOf ?? (ways ? [ways] : [])).flatMap((way) => way.items?.anyOf ?? []);
  const optional = new Set(known.filter((one) => one["x-optional"]).map((one) => one.properties?.name?.const));
  return ((json?.examples?.columns ?? json?.examples?.tensors)?.value?.inputs ?? []).map((input) => ({ ...input, optional: optional.has(input.name) }));
}

export const written = (value: unknown): string => (value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value));

/** The example as it stands in the form. Columns are inputs of one dimension. */
export function start(inputs: readonly Input[]): Typed[] {
  const columns = inputs.every((input) => input.shape.length === 1);
  return inputs.map(({ name, datatype, shape, data, optional }) => ({
    name,
    datatype,
    ...(optional === undefined ? {} : { optional }),
    shape: columns ? null : shape,
    texts: columns ? data.map(written) : [JSON.stringify(data)],
  }));
}

/** The text of one value as JSON, or null when it is not of the datatype. Nothing stands for a missing number. */
export function asJson(datatype: string, text: string): string | null {
  const given = text.trim();
  if (datatype === "BYTES") return JSON.stringify(text);
  if (datatype === "BOOL") return /^(true|false)$/.test(given) ? given : null;
  if (/^U?INT/.test(datatype)) return /^-?\d+$/.test(given) && !(datatype.startsWith("U") && given.startsWith("-")) ? String(BigInt(given)) : null;
  if (given === "" || given === "NaN") return "null";
  return Number.isFinite(Number(given)) ? String(Number(given)) : null;
}

/** What goes into the request: a column that may be left out is, where nothing is typed in any of its rows. */
export const sent = (typed: readonly Typed[]) => typed.filter((one) => !(one.optional && one.shape === null && one.texts.every((text) => text === "")));

/** Which fields do not hold what they should: "name, row 2". */
export function wrong(typed: readonly Typed[]): string[] {
  return sent(typed).flatMap(({ name, datatype, shape, texts }) => {
    if (shape !== null) return tensor(texts[0] ?? "") === null ? [name] : [];
    return texts.flatMap((text, row) => (asJson(datatype, text) === null ? [`${name}, row ${row + 1}`] : []));
  });
}

function tensor(text: string): string | null {
  try {
    return Array.isArray(JSON.parse(text)) ? text : null;
  } catch {
    return null;
  }
}

/** The request as JSON text. Whole numbers keep every digit, which a JavaScript number would not. */
export function requestOf(typed: readonly Typed[]): string {
  const inputs = sent(typed).map(({ name, datatype, shape, texts }) => {
    const data = shape === null ? `[${texts.map((text) => asJson(datatype, text)).join(", ")}]` : (texts[0] ?? "[]");
    return `{"name": ${JSON.stringify(name)}, "datatype": ${JSON.stringify(datatype)}, "shape": ${JSON.stringify(shape ?? [texts.length])}, "data": ${data}}`;
  });
  return `{"inputs": [${inputs.join(",\n  ")}]}`;
}

/** JSON text as a Python literal: the words differ, outside of strings. */
export function python(json: string): string {
  const words: Record<string, string> = { true: "True", false: "False", null: "None" };
  return json.replace(/"(?:[^"\\]|\\.)*"|\b(?:true|false|null)\b/g, (found) => words[found] ?? found);
}

export type Way = "curl" | "python" | "mlflow";

/** The same request for a shell, for Python, and for MLflow's scoring client. */
export function snippet(way: Way, url: string, model: string, version: string, typed: readonly Typed[]): string {
  const path = `/v2/models/${encodeURIComponent(model)}${version && `/versions/${version}`}`;
  const request = requestOf(typed);
  if (way === "curl") return `curl ${url}${path}/infer -d '${request.replaceAll("'", "'\\''")}'`;
  if (way === "python") {
    return `import json\nfrom urllib.request import urlopen\n\nrequest = ${python(request)}\nwith urlopen("${url}${path}/infer", json.dumps(request).encode()) as answer:\n    print(json.load(answer)["outputs"])`;
  }
  const { hostname, port } = new URL(url);
  const client = `from mlflow.pyfunc.scoring_server.client import ScoringServerClient\n\nclient = ScoringServerClient("${hostname}", "${port}${path}")\n`;
  if (typed.some((one) => one.shape !== null)) return `${client}print(client.invoke(${python(`{${typed.map((one) => `${JSON.stringify(one.name)}: ${one.texts[0] ?? "[]"}`).join(", ")}}`)}).get_predictions())`;
  const columns = sent(typed).map((one) => `${JSON.stringify(one.name)}: [${one.texts.map((text) => asJson(one.datatype, text)).join(", ")}]`);
  return `import pandas as pd\n${client}rows = pd.DataFrame(${python(`{${columns.join(", ")}}`)})\nprint(client.invoke(rows).get_predictions())`;
}
