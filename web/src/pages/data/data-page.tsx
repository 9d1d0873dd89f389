// The data repository: every table, how it grows, whether its checks hold.
import { useVerb } from "../../lib/query";
import type { Table } from "../../lib/records";
import { bytes, count } from "../../lib/format";
import { Link, path } from "../../lib/router";
import { Answer, Empty, Say, Time } from "../../components/basics";
import { Page } from "../../components/page";
import { Spark } from "../../components/sparkline";
import { CheckPill } from "./checks";

const FIRST_LINES = `import homeostat as hs

ws = hs.open("./.homeostat")
ws.data.import_file("flights", "flights.csv")`;

export default function DataPage() {
  const tables = useVerb("data/list_tables", {});
  return (
    <Page title="Data" trail={["Data"]}>
      <Answer query={tables} lines={6}>
        {(found) =>
          found.length === 0 ? (
            <>
              <Say>No table is kept here yet.</Say>
              <Empty title="Bring the first one in" code={FIRST_LINES} />
            </>
          ) : (
            <List tables={found} />
          )
        }
      </Answer>
    </Page>
  );
}

function List({ tables }: { tables: Table[] }) {
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  const size = tables.reduce((sum, table) => sum + table.bytes, 0);
  return (
    <>
      <Say>{`**${tables.length}** ${tables.length === 1 ? "table" : "tables"} with **${count(rows)}** rows in **${bytes(size)}**, every version kept.`}</Say>
      <div className="card scroll-x" tabIndex={0} role="group" aria-label="Tables">
        <table className="plain roomy">
          <thead>
            <tr>
              <th scope="col">table</th>
              <th scope="col">checks</th>
              <th scope="col">growth</th>
              <th scope="col" className="right">
                rows
              </th>
              <th scope="col" className="right">
                columns
              </th>
              <th scope="col" className="right">
                size
              </th>
              <th scope="col" className="right">
                version
              </th>
              <th scope="col" className="right">
                written
              </th>
            </tr>
          </thead>
          <tbody>
            {tables.map((table) => (
              <Row key={table.name} table={table} />
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function Row({ table }: { table: Table }) {
  const versions = useVerb("data/list_versions", { name: table.name, limit: 50 });
  const history = [...(versions.data ?? [])].sort((a, b) => a.version - b.version);
  const check = history.findLast((v) => v.check !== null)?.check ?? null;
  return (
    <tr>
      <th scope="row">
        <Link to={path("data", table.name)}>{table.name}</Link>
        {table.description && <span className="note block">{table.description}</span>}
      </th>
      <td>
        {check === null ? <span className="note">none yet</span> : <CheckPill report={check} />}
      </td>
      <td>
        <Spark values={history.map((v) => v.rows)} label={`Rows of ${table.name} by version`} />
      </td>
      <td className="right">{count(table.rows)}</td>
      <td className="right">{table.columns.length}</td>
      <td className="right">{bytes(table.bytes)}</td>
      <td className="right">v{table.version}</td>
      <td className="right">
        <Time ms={table.updated_ms} />
      </td>
    </tr>
  );
}
