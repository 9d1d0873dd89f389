// One table: how it grew, what its checks say, its columns, every version.
import { useState } from "react";
import { useVerb, type Query } from "../../lib/query";
import type { Table, TableVersion } from "../../lib/records";
import { bytes, count, moment, plural, short } from "../../lib/format";
import { Link, path } from "../../lib/router";
import { Answer, Card, Say, Time } from "../../components/basics";
import { Page } from "../../components/page";
import { LineageCard } from "../../components/lineage-card";
import { CheckPill, Checks } from "./checks";
import { Cleaning } from "./cleaning";
import { Columns } from "./columns-card";
import { Growth } from "./growth";

const VERSIONS = 200;
const FEW = 15;

export default function TablePage({ name }: { name: string }) {
  const table = useVerb("data/get_table", { name });
  const versions = useVerb("data/list_versions", { name, limit: VERSIONS });
  return (
    <Answer query={table} lines={8}>
      {(found) => <TableView table={found} versions={versions} />}
    </Answer>
  );
}

function opening(table: Table, versions: readonly TableVersion[]): string {
  const newest = versions.find((v) => v.check !== null)?.check;
  const failed = newest?.results.filter((r) => !r.passed).length ?? 0;
  const checks = !newest
    ? "It has not been checked."
    : failed === 0
      ? `All **${newest.results.length}** checks hold.`
      : `**${newest.results.length - failed}** of ${newest.results.length} checks hold.`;
  return `**${count(table.rows)}** rows of **${table.columns.length}** columns at version ${table.version}. ${checks}`;
}

function TableView({ table, versions }: { table: Table; versions: Query<TableVersion[]> }) {
  const sorted = [...(versions.data ?? [])].sort((a, b) => b.version - a.version);
  const check = sorted.find((v) => v.check !== null)?.check ?? null;
  return (
    <Page
      title={table.name}
      trail={["Data", table.name]}
      badge={check && <CheckPill report={check} />}
    >
      <Say>{opening(table, sorted)}</Say>
      {table.description && <p className="note lead">{table.description}</p>}
      {sorted.length > 1 && <Growth versions={[...sorted].reverse()} />}
      <div className="two">
        <div className="stack">
          <Checks table={table} report={check} />
          <Cleaning report={sorted.find((v) => v.clean !== null)?.clean ?? null} />
        </div>
        <Columns table={table} />
      </div>
      <Card title="Versions" aside={`${plural(sorted.length, "version")}, ${bytes(table.bytes)}`}>
        <Answer query={versions}>{() => <Versions versions={sorted} />}</Answer>
      </Card>
      <LineageCard kind="table" asset={table.name} version={table.version} />
    </Page>
  );
}

function Versions({ versions }: { versions: readonly TableVersion[] }) {
  const [all, setAll] = useState(false);
  const shown = all ? versions : versions.slice(0, FEW);
  return (
    <>
    <div className="scroll-x" tabIndex={0} role="group" aria-label="Versions">
      <table className="plain">
        <thead>
          <tr>
            <th scope="col">version</th>
            <th scope="col">written</th>
            <th scope="col">how</th>
            <th scope="col" className="right">
              rows
            </th>
            <th scope="col">what</th>
            <th scope="col">digest</th>
            <th scope="col">by</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((version) => (
            <tr key={version.version}>
              <th scope="row">v{version.version}</th>
              <td title={moment(version.created_ms)}>
                <Time ms={version.created_ms} />
              </td>
              <td>{version.operation}</td>
              <td className="right">{count(version.rows)}</td>
              <td>
                {version.message || "–"} <span className="note">{version.source}</span>
              </td>
              <td className="mono note" title={version.digest}>
                {short(version.digest)}
              </td>
              <td>{version.run_id ? <Link to={path("runs", version.run_id)}>{version.run_id.slice(0, 8)}</Link> : "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
    {versions.length > shown.length && (
      <button type="button" className="link more" onClick={() => setAll(true)}>
        show all {versions.length}
      </button>
    )}
    </>
  );
}
