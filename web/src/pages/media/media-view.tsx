// One thing that a run logged, as its kind is looked at.
import { useMemo, useState } from "react";
import type { Run } from "../../lib/records";
import { diffLines, previewUrl, type Histogram, type Media, type Sheet } from "../../lib/media";
import { useText } from "../../lib/files";
import { number } from "../../lib/format";
import { linear } from "../../lib/scale";
import { Skeleton } from "../../components/basics";
import { Overlay } from "../../components/overlay";
import { useWidth } from "../../components/use-width";
import { DataTable } from "./data-table";
import { PlotlyFigure } from "./plotly-figure";

interface ViewProps {
  run: Run;
  entry: Media;
  /** The axis of histograms. */
  range: [number, number] | null;
  /** The text that this one is told against: that of the first run. */
  base: { run: string; path: string } | null;
}

export function MediaView({ run, entry, range, base }: ViewProps) {
  const url = previewUrl(run.id, entry.path);
  const stamp = String(entry.at_ms);
  const name = `${entry.key} of ${run.name || run.id}, step ${entry.step}`;
  switch (entry.kind) {
    case "audio":
      return <audio controls preload="none" src={url} aria-label={name} />;
    case "text":
      return <Words url={url} stamp={stamp} base={base && previewUrl(base.run, base.path)} />;
    case "histogram":
      return <Bars url={url} stamp={stamp} range={range} label={name} />;
    case "table":
      return <Table url={url} stamp={stamp} />;
    default:
      return entry.path.endsWith(".json") ? <Plotly url={url} stamp={stamp} name={name} /> : <Picture url={url} name={name} facts={entry.facts} />;
  }
}

function Unread({ why }: { why: string }) {
  return (
    <p className="note" role="alert">
      It could not be read: {why}
    </p>
  );
}

function Picture({ url, name, facts }: { url: string; name: string; facts: Media["facts"] }) {
  const [large, setLarge] = useState(false);
  const [gone, setGone] = useState(false);
  const tiny = (facts.width ?? 1000) <= 128;
  if (gone) return <Unread why="it may be larger than 4 MiB; download it below" />;
  return (
    <>
      <button type="button" className="picture" aria-label={`${name}: larger`} onClick={() => setLarge(true)}>
        <img src={url} alt={name} loading="lazy" className={tiny ? "pixels" : ""} onError={() => setGone(true)} />
      </button>
      {large && (
        <Overlay label={name} className="picture-overlay" onClose={() => setLarge(false)}>
          <button type="button" autoFocus aria-label="Close" onClick={() => setLarge(false)}>
            <img src={url} alt={name} className={tiny ? "pixels" : ""} />
          </button>
          <p className="note">{name}</p>
        </Overlay>
      )}
    </>
  );
}

function parsed<T>(text: string | null): T | null {
  if (text === null) return null;
  try {
    return JSON.parse(text) as T;
  } catch {
    return null;
  }
}

const HEIGHT = 120;

function Bars({ url, stamp, range, label }: { url: string; stamp: string; range: [number, number] | null; label: string }) {
  const { text, failed } = useText(url, stamp);
  const [ref, width] = useWidth<HTMLDivElement>(220);
  const found = useMemo(() => parsed<Histogram>(text), [text]);
  if (failed) return <Unread why={failed} />;
  const edges = found?.edges ?? [];
  const counts = found?.counts ?? [];
  const [low, high] = range ?? [edges[0] ?? 0, edges.at(-1) ?? 1];
  const x = linear([low, high > low ? high : low + 1], [2, width - 2]);
  const most = Math.max(1, ...counts);
  return (
    <div ref={ref} className="histogram">
      <svg width={width} height={HEIGHT + 18} role="img" aria-label={label}>
        <line className="grid" x1={2} x2={width - 2} y1={HEIGHT} y2={HEIGHT} />
        {counts.map((count, i) => {
          const [from, to] = [x(edges[i] ?? low), x(edges[i + 1] ?? low)];
          const height = (count / most) * (HEIGHT - 6);
          return (
            <rect key={i} className="bin" x={from} y={HEIGHT - height} width={Math.max(1, to - from - 0.5)} height={height}>
              <title>{`${number(edges[i])} to ${number(edges[i + 1])}: ${number(count)}`}</title>
            </rect>
          );
        })}
        <text className="axis" x={2} y={HEIGHT + 14}>{number(low)}</text>
        <text className="axis" x={width - 2} y={HEIGHT + 14} textAnchor="end">{number(high)}</text>
      </svg>
    </div>
  );
}

function Table({ url, stamp }: { url: string; stamp: string }) {
  const { text, failed } = useText(url, stamp);
  const sheet = useMemo(() => parsed<Sheet>(text), [text]);
  if (failed) return <Unread why={failed} />;
  if (text === null) return <Skeleton lines={4} />;
  if (!Array.isArray(sheet?.columns) || !Array.isArray(sheet.rows)) return <Unread why="it is not a table" />;
  return <DataTable columns={sheet.columns} rows={sheet.rows} />;
}

function Plotly({ url, stamp, name }: { url: string; stamp: string; name: string }) {
  const { text, failed } = useText(url, stamp);
  const figure = useMemo(() => parsed<unknown>(text), [text]);
  if (failed) return <Unread why={failed} />;
  if (text === null) return <Skeleton lines={4} />;
  return <PlotlyFigure figure={figure} name={name} />;
}

/** A text; beside another one, what it has that the other has not, and what it lacks. */
function Words({ url, stamp, base }: { url: string; stamp: string; base: string | null }) {
  const own = useText(url, stamp);
  const other = useText(base);
  const lines = useMemo(
    () => (own.text === null || base === null || other.text === null || other.text === own.text ? null : diffLines(other.text, own.text)),
    [own.text, other.text, base],
  );
  if (own.failed) return <Unread why={own.failed} />;
  if (own.text === null) return <Skeleton lines={3} />;
  return (
    <pre className="preview mono" tabIndex={0}>
      {lines === null
        ? own.text
        : lines.map((line, i) =>
            line.mark === "same" ? (
              `${line.text}\n`
            ) : line.mark === "added" ? (
              <ins key={i}>{`+ ${line.text}\n`}</ins>
            ) : (
              <del key={i}>{`− ${line.text}\n`}</del>
            ),
          )}
    </pre>
  );
}
