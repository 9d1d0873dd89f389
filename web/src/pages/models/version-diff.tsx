// What differs between two versions, list by list; what is equal is counted, not shown.
import type { Change, ModelVersion, VersionDiff } from "../../lib/records";
import { useVerb } from "../../lib/query";
import { spell } from "../../lib/describe";
import { brief, number, short, signed } from "../../lib/format";
import { useParam } from "../../lib/router";
import { Answer, Card } from "../../components/basics";
import { lessIsBetter } from "../../lib/better";

const LISTS = ["metrics", "params", "data", "signature", "environment", "files", "tags"] as const;
const NAMES: Record<(typeof LISTS)[number], string> = {
  metrics: "metrics",
  params: "parameters",
  data: "data versions",
  signature: "signature",
  environment: "environment",
  files: "files by digest",
  tags: "tags",
};

export function VersionDiffCard({ version, others }: { version: ModelVersion; others: readonly ModelVersion[] }) {
  const [chosen, choose] = useParam("against");
  const first = others.find((other) => String(other.version) === chosen) ?? others.find((other) => other.version < version.version) ?? others[0];
  const diff = useVerb("registry/diff_versions", first === undefined ? null : { model: version.model, first: first.version, second: version.version });
  if (first === undefined) return null;
  return (
    <Card
      title="What differs"
      className="version-diff"
      aside={
        <label className="check">
          from
          <select aria-label="Compare with" value={first.version} onChange={(event) => choose(event.target.value)}>
            {others.map((other) => (
              <option key={other.version} value={other.version}>
                v{other.version}
                {other.aliases.length > 0 ? ` (${other.aliases.join(", ")})` : ""}
              </option>
            ))}
          </select>
          to v{version.version}
        </label>
      }
    >
      <Answer query={diff} lines={4}>
        {(found) => <Lists diff={found} from={first.version} to={version.version} />}
      </Answer>
    </Card>
  );
}

function Lists({ diff, from, to }: { diff: VersionDiff; from: number; to: number }) {
  const shown = LISTS.filter((name) => diff[name].length > 0);
  const equal = LISTS.filter((name) => diff[name].length === 0).map((name) => NAMES[name]);
  return (
    <>
      {shown.length > 0 && (
        <div className="scroll-x" tabIndex={0} role="region" aria-label="What differs">
          <table className="plain diff">
            <thead>
              <tr>
                <th scope="col" />
                <th scope="col">v{from}</th>
                <th scope="col">v{to}</th>
                <th scope="col" className="right">change</th>
              </tr>
            </thead>
            <tbody>{shown.flatMap((name) => diff[name].map((change, i) => <Row key={name + change.name} list={name} change={change} first={i === 0} />))}</tbody>
          </table>
        </div>
      )}
      <p className="note">
        {diff.same_package ? "They are the same package. " : ""}
        {equal.length > 0 && `Equal: ${equal.join(", ")}.`}
      </p>
    </>
  );
}

function Row({ list, change, first }: { list: (typeof LISTS)[number]; change: Change; first: boolean }) {
  const [a, b] = [change.first, change.second];
  const delta = typeof a === "number" && typeof b === "number" && list === "metrics" ? b - a : null;
  const better = delta === null || delta === 0 ? "" : delta > 0 !== lessIsBetter(change.name) ? "ok" : "bad";
  return (
    <tr>
      <th scope="row">
        {first && <span className="note block">{NAMES[list]}</span>}
        {list === "metrics" ? spell(change.name) : <span className={list === "files" ? "mono" : ""}>{change.name}</span>}
      </th>
      <td className="mono">{told(list, a)}</td>
      <td className="mono">{told(list, b)}</td>
      <td className={`right ${better}`}>
        {delta !== null && signed(delta)}
        {better && <span className="note"> {better === "ok" ? "better" : "worse"}</span>}
      </td>
    </tr>
  );
}

function told(list: string, value: Change["first"]) {
  if (value === null) return <span className="note">–</span>;
  if (typeof value === "number") return list === "data" ? `v${value}` : number(value, 4);
  return list === "files" ? short(String(value)) : <span title={String(value)}>{brief(String(value))}</span>;
}
