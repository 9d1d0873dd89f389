// The runs side by side; what is equal is left out until it is asked for.
import { useMemo, useState } from "react";
import type { Run } from "../../lib/records";
import { diffRows, type DiffRow } from "../../lib/diff";
import { spell } from "../../lib/describe";
import { brief, number, plural } from "../../lib/format";
import { Link, path, useParam } from "../../lib/router";
import { Icon } from "../../components/icon";
import { Card } from "../../components/basics";
import { look } from "./line-chart";

const FIRST = 100;

export function DiffTable({ runs }: { runs: readonly Run[] }) {
  const [all, setAll] = useParam("all");
  const [most, setMost] = useState(FIRST);
  const every = useMemo(() => diffRows(runs), [runs]);
  const shown = every.filter((row) => all === "1" || row.differs);
  const equal = every.length - every.filter((row) => row.differs).length;
  return (
    <Card
      title="Side by side"
      className="diff-card"
      aside={
        <label className="check">
          <input type="checkbox" checked={all === "1"} onChange={(event) => setAll(event.target.checked ? "1" : "")} />
          also the {plural(equal, "row")} that {equal === 1 ? "is" : "are"} equal
        </label>
      }
    >
      <div className="scroll-x" tabIndex={0} role="region" aria-label="Side by side">
        <table className="plain diff">
          <thead>
            <tr>
              <th scope="col">
                <span className="note">{shown.length === 0 ? "nothing differs" : ""}</span>
              </th>
              {runs.map((run, slot) => (
                <th key={run.id} scope="col">
                  <i className={`swatch ${look(slot)}`} /> <Link to={path("runs", run.id)}>{run.name || run.id.slice(0, 8)}</Link>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.slice(0, most).map((row, i) => (
              <Row key={row.group + row.key} row={row} first={row.group !== shown[i - 1]?.group} />
            ))}
          </tbody>
        </table>
      </div>
      {shown.length > most && (
        <button type="button" className="ghost more" onClick={() => setMost(most + 500)}>
          show {Math.min(500, shown.length - most)} more of {shown.length - most}
        </button>
      )}
    </Card>
  );
}

function Row({ row, first }: { row: DiffRow; first: boolean }) {
  return (
    <tr className={row.differs ? "" : "equal"}>
      <th scope="row">
        {first && <span className="note block">{row.group}</span>}
        {row.group === "metrics" ? spell(row.key) : row.key}
      </th>
      {row.values.map((value, i) => (
        <td key={i} className={row.group === "metrics" ? "value" : "mono"} title={value === null ? undefined : String(value)}>
          {value === null ? <span className="note">–</span> : typeof value === "number" ? number(value, 4) : brief(value)}
          {row.best === i && <Icon name="check" size={12} label="best" />}
        </td>
      ))}
    </tr>
  );
}
