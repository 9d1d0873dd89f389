// One request of the prediction log: what was asked, and what every version answered to it.
import type { LoggedAnswer } from "../../lib/records";
import type { Query } from "../../lib/query";
import { moment, number } from "../../lib/format";
import { Answer, Card } from "../../components/basics";
import { Icon } from "../../components/icon";
import { written } from "./form";
import { latency } from "./words";

const shown = (value: unknown) => (typeof value === "number" ? number(value, 5) : written(value));

export function RequestCard({ id, query, onClose }: { id: string; query: Query<LoggedAnswer[]>; onClose: () => void }) {
  const close = (
    <button type="button" className="ghost" onClick={onClose} aria-label="Close the request">
      <Icon name="cross" size={14} />
    </button>
  );
  return (
    <Card title="A request of the log" aside={<><span className="mono request-id">{id}</span> {close}</>} className="request-card">
      <Answer query={query}>{(rows) => <Rows rows={rows} />}</Answer>
    </Card>
  );
}

function Rows({ rows }: { rows: readonly LoggedAnswer[] }) {
  const outputs = [...new Set(rows.flatMap((row) => Object.keys(row.outputs)))];
  const inputs = [...new Set(rows.flatMap((row) => Object.keys(row.inputs)))];
  const [first] = rows;
  return (
    <>
      {first && (
        <p className="note">
          Answered {moment(first.logged_ms)} UTC{first.key === null ? "" : `, key ${first.key}`}.
        </p>
      )}
      <div className="scroll-x" tabIndex={0} role="region" aria-label="What was answered">
        <table className="plain stacked">
          <thead>
            <tr>
              <th scope="col">row</th>
              <th scope="col">version</th>
              {outputs.map((name) => (
                <th key={`o${name}`} scope="col" className="mono right">{name}</th>
              ))}
              <th scope="col" className="right">latency</th>
              {inputs.map((name) => (
                <th key={`i${name}`} scope="col" className="mono right">{name}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={`${row.row}/${row.version}/${row.route}`}>
                <td data-label="row">{row.row + 1}</td>
                <th scope="row" className="nowrap">
                  v{row.version} <span className="note">{row.route}</span> {row.status >= 500 && <span className="bad">failed</span>}
                </th>
                {outputs.map((name) => (
                  <td key={`o${name}`} className="right" data-label={name}>{shown(row.outputs[name])}</td>
                ))}
                <td className="right" data-label="latency">{latency(row.latency_ms)}</td>
                {inputs.map((name) => (
                  <td key={`i${name}`} className="right" data-label={name}>{shown(row.inputs[name])}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
