// The simple traces of a Plotly figure as points: lines, markers, bars. The rest is named, not drawn.

export interface Trace {
  name: string;
  kind: "line" | "dots" | "bars";
  xs: (number | string)[];
  ys: (number | null)[];
}
export interface Drawn {
  title: string;
  across: string;
  up: string;
  traces: Trace[];
  /** Kinds of traces that are not drawn here. */
  left: string[];
}
type Some = Record<string, unknown>;
const NUMBERS = { f8: Float64Array, f4: Float32Array, i4: Int32Array, u4: Uint32Array, i2: Int16Array, u2: Uint16Array, i1: Int8Array, u1: Uint8Array } as const;

/** A list, or a packed array as newer Plotly writes it. */
function list(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  const packed = value as { dtype?: string; bdata?: string } | null;
  const numbers = NUMBERS[packed?.dtype as keyof typeof NUMBERS];
  if (typeof packed?.bdata !== "string" || numbers === undefined) return [];
  try {
    const raw = Uint8Array.from(atob(packed.bdata), (char) => char.charCodeAt(0));
    return [...new numbers(raw.buffer, 0, Math.floor(raw.length / numbers.BYTES_PER_ELEMENT))];
  } catch {
    return [];
  }
}

const words = (value: unknown): string => {
  const text = typeof value === "string" ? value : (value as Some | null)?.text;
  return typeof text === "string" ? text.replace(/<[^>]*>/g, "") : "";
};
const finite = (value: unknown): number | null => (typeof value === "number" && Number.isFinite(value) ? value : null);

function trace(given: Some, index: number): Trace | string {
  const type = typeof given.type === "string" ? given.type : "scatter";
  if (type !== "scatter" && type !== "scattergl" && type !== "bar") return type;
  const ys = list(given.y).map(finite);
  const x = list(given.x);
  const xs = ys.map((_, i) => (typeof x[i] === "number" || typeof x[i] === "string" ? (x[i] as number | string) : i));
  const mode = typeof given.mode === "string" ? given.mode : "lines";
  const name = words(given.name) || `trace ${index + 1}`;
  return { name, kind: type === "bar" ? "bars" : mode.includes("lines") ? "line" : "dots", xs, ys };
}

/** What of a figure can be drawn; null for what is no figure at all. */
export function readFigure(figure: unknown): Drawn | null {
  const { data, layout } = (figure ?? {}) as { data?: unknown; layout?: Some };
  if (!Array.isArray(data)) return null;
  const found = data.filter((one): one is Some => typeof one === "object" && one !== null).map(trace);
  const axis = (name: string) => words((layout?.[name] as Some | undefined)?.title);
  return {
    title: words(layout?.title),
    across: axis("xaxis"),
    up: axis("yaxis"),
    traces: found.filter((one): one is Trace => typeof one !== "string" && one.ys.some((y) => y !== null)),
    left: [...new Set(found.filter((one): one is string => typeof one === "string"))],
  };
}
