// One table: how it grew, what its checks say, its columns, every version.
import { useVerb, type Query } from "../../lib/query";
import type { Table, TableVersion } from "../../lib/records";
import { bytes, count, moment, plural, short } from "../../lib/format";
import { Link, path } from "../../lib/router";
import { Answer, Card, Pill, Say, Time } from "../../components/basics";
import { Page } from "../../components/page";
import { LineageCard } from "../../components/lineage-card";
import { Checks } from "./checks";
import { Growth } from "./growth";

const VERSIONS = 200;

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
    : newest.passed && failed === 0
      ? `All **${newest.results.length}** checks hold.`
      : `**${failed}** of ${newest.results.length} checks ${failed === 1 ? "does" : "do"} not hold.`;
  return `**${count(table.rows)}** rows of **${table.columns.length}** columns at version ${table.version}. ${checks}`;
}

function TableView({ table, versions }: { table: Table; versions: Query<TableVersion[]> }) {
  const sorted = [...(versions.data ?? [])].sort((a, b) => b.version - a.version);
  const check = sorted.find((v) => v.check !== null)?.check ?? null;
  return (
    <Page
      title={table.name}
      trail={["Data", table.name]}
      badge={check && <Pill tone={check.passed ? "ok" : "bad"}>{check.passed ? "checks hold" : "checks fail"}</Pill>}
    >
      <Say>{opening(table, sorted)}</Say>
      {table.description && <p className="note lead">{table.description}</p>}
      {sorted.length > 1 && <Growth versions={[...sorted].reverse()} />}
      <div className="two">
        <Checks report={check} />
        <Columns table={table} />
      </div>
      <Card title="Versions" aside={`${plural(sorted.length, "version")}, ${bytes(table.bytes)}`}>
        <Answer query={versions}>{() => <Versions versions={sorted} />}</Answer>
      </Card>
      <LineageCard kind="table" asset={table.name} version={table.version} />
    </Page>
  );
}

function Columns({ table }: { table: Table }) {
  return (
    <Card title="Columns" aside={plural(table.columns.length, "column")}>
      <dl className="facts-list">
        {table.columns.map((column) => (
          <div key={column.name}>
            <dt className="mono">
              {column.name}
              {table.key.includes(column.name) && <span className="alias"> key</span>}
            </dt>
            <dd className="note">
              {column.type}
              {column.nullable ? "" : ", never null"}
            </dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}

function Versions({ versions }: { versions: readonly TableVersion[] }) {
  return (
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
          {versions.map((version) => (
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
  );
}
