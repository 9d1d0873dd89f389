// What a shadow would have answered, beside what was answered: in figures, drawn one against the other, row by row.
import type { OutputDifference, ShadowComparison } from "../../lib/records";
import { useVerb } from "../../lib/query";
import { brief, count, number, percent, plural } from "../../lib/format";
import { extent, linear, padded, ticks } from "../../lib/scale";
import { Answer, Card } from "../../components/basics";
import { useWidth } from "../../components/use-width";
import { usePoll } from "./use-poll";
import { compared } from "./words";

const SIZE = 240;
const LEFT = 46;
const BOTTOM = 24;

interface ShadowProps {
  model: string;
  onLook: (request: string) => void;
}

export function Shadows({ model, onLook }: ShadowProps) {
  const found = useVerb("serving/compare_shadow", { model, limit: 10 });
  usePoll(["serving/compare_shadow"], 30_000);
  return <Answer query={found}>{(shadows) => shadows.map((one) => <Shadow key={one.version} shadow={one} onLook={onLook} />)}</Answer>;
}

function Shadow({ shadow, onLook }: { shadow: ShadowComparison; onLook: (request: string) => void }) {
  const drawn = shadow.outputs.find((output) => output.pairs.length > 1);
  const failed = shadow.failed === 0 ? "" : `, ${plural(shadow.failed, "request")} failed by it alone`;
  return (
    <Card title={`v${shadow.version} in shadow`} aside={`${count(shadow.rows)} rows of ${plural(shadow.requests, "request")}${failed}`} className="shadow-card">
      {shadow.rows === 0 ? (
        <p className="note">Nothing has been answered by both yet.</p>
      ) : (
        <>
          <p className="shadow-say">{compared(shadow)}</p>
          <Figures shadow={shadow} />
          <div className="shadow-parts">
            <Rows shadow={shadow} onLook={onLook} />
            {drawn && <Against output={drawn} version={shadow.version} />}
          </div>
        </>
      )}
    </Card>
  );
}

function Figures({ shadow }: { shadow: ShadowComparison }) {
  return (
    <div className="scroll-x" tabIndex={0} role="region" aria-label={`v${shadow.version} beside what was answered`}>
      <table className="plain stacked">
        <thead>
          <tr>
            <th scope="col">output</th>
            <th scope="col" className="right">equal</th>
            <th scope="col" className="right">mean, shadow</th>
            <th scope="col" className="right">mean, answered</th>
            <th scope="col" className="right">apart: mean</th>
            <th scope="col" className="right">95 %</th>
            <th scope="col" className="right">most</th>
            <th scope="col" className="right">correlation</th>
          </tr>
        </thead>
        <tbody>
          {shadow.outputs.map((one) => (
            <tr key={one.output}>
              <th scope="row">{one.output}</th>
              <td className="right" data-label="equal">{percent(one.equal)}</td>
              <td className="right" data-label="mean, shadow">{number(one.mean)}</td>
              <td className="right" data-label="mean, answered">{number(one.mean_answered)}</td>
              <td className="right" data-label="apart: mean">{number(one.difference_mean)}</td>
              <td className="right" data-label="95 %">{number(one.difference_p95)}</td>
              <td className="right" data-label="most">{number(one.difference_max)}</td>
              <td className="right" data-label="correlation">{number(one.correlation)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Rows({ shadow, onLook }: { shadow: ShadowComparison; onLook: (request: string) => void }) {
  if (shadow.most_different.length === 0) return <p className="note">No row differs.</p>;
  return (
    <div className="scroll-x" tabIndex={0} role="region" aria-label="Rows that differ most">
      <table className="plain stacked">
        <thead>
          <tr>
            <th scope="col">differs most</th>
            <th scope="col">output</th>
            <th scope="col" className="right">answered</th>
            <th scope="col" className="right">shadow</th>
          </tr>
        </thead>
        <tbody>
          {shadow.most_different.map((one) => (
            <tr key={`${one.request_id}/${one.row}/${one.output}`}>
              <th scope="row">
                <button type="button" className="link mono" onClick={() => onLook(one.request_id)}>
                  {one.request_id.slice(0, 16)}
                </button>
                <span className="note"> row {one.row + 1}</span>
              </th>
              <td data-label="output">{one.output}</td>
              <td className="right mono" data-label="answered" title={one.answered}>{brief(one.answered)}</td>
              <td className="right mono" data-label="shadow" title={one.shadow}>{brief(one.shadow)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** One point a row: answered across, shadow up; on the line both are the same. */
function Against({ output, version }: { output: OutputDifference; version: number }) {
  const [ref, width] = useWidth<HTMLDivElement>(320);
  const range = padded(extent(output.pairs.flat()) ?? [0, 1], 0.05);
  const x = linear(range, [LEFT, width - 10]);
  const y = linear(range, [SIZE - BOTTOM, 8]);
  return (
    <figure className="against" ref={ref}>
      <svg width={width} height={SIZE} role="img" aria-label={`${output.output} of v${version} against what was answered: ${output.pairs.length} rows`}>
        {ticks(range, 4).map((value) => (
          <g key={value}>
            <line className="grid" x1={LEFT} x2={width - 10} y1={y(value)} y2={y(value)} />
            <text className="axis" x={LEFT - 6} y={y(value) + 4} textAnchor="end">
              {number(value, 2)}
            </text>
            <text className="axis" x={x(value)} y={SIZE - 6} textAnchor="middle">
              {number(value, 2)}
            </text>
          </g>
        ))}
        <line className="same" x1={x(range[0])} y1={y(range[0])} x2={x(range[1])} y2={y(range[1])} />
        {output.pairs.map(([answered, other], i) => (
          <circle key={i} className="pair-dot" cx={x(answered)} cy={y(other)} r={2.5} />
        ))}
      </svg>
      <figcaption className="note">
        {output.output}: across what was answered, up what v{version} would have; {plural(output.pairs.length, "row")} of all, evenly chosen
      </figcaption>
    </figure>
  );
}
