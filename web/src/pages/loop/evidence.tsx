// What a decision stood on: each piece of evidence with its interval drawn to scale, the rule, the roads not taken.
import type { Decision, Effect, Evidence } from "../../lib/records";
import { spell } from "../../lib/describe";
import { count, day, number, short, signed } from "../../lib/format";
import { Link, path } from "../../lib/router";
import { Gauge } from "../../components/gauge";

export function DecisionDetail({ decision }: { decision: Decision }) {
  return (
    <>
      {decision.evidence.length > 0 && <EvidenceTable evidence={decision.evidence} />}
      <dl className="detail-grid">
        {decision.alternatives.length > 0 && (
          <div>
            <dt>Not taken</dt>
            {decision.alternatives.map((road) => (
              <dd key={road.kind}>
                <b>{spell(road.kind)}</b>: {road.why_not}
              </dd>
            ))}
          </div>
        )}
        <div>
          <dt>Expected, then seen</dt>
          <dd>{decision.expected === null ? "no effect was expected" : effect(decision.expected)}</dd>
          {decision.realised !== null && (
            <dd>
              <b>{effect(decision.realised)}</b> seen
            </dd>
          )}
        </div>
        <div>
          <dt>Rule</dt>
          <dd>
            {spell(decision.rule.name)}, version {decision.rule.version}
          </dd>
          <dd className="mono">{params(decision.rule.params)}</dd>
        </div>
        <div>
          <dt>Record</dt>
          <dd className="mono" title={decision.id}>
            {short(decision.id)}
          </dd>
          {decision.run_id !== null && (
            <dd>
              <Link to={path("runs", decision.run_id)}>its run</Link>
            </dd>
          )}
          <dd>next look {day(decision.next_review_ms, decision.at_ms)}</dd>
        </div>
      </dl>
    </>
  );
}

function EvidenceTable({ evidence }: { evidence: readonly Evidence[] }) {
  return (
    <div className="scroll-x" tabIndex={0} role="group" aria-label="Evidence">
      <table className="plain evidence">
        <thead>
          <tr>
            <th scope="col">evidence</th>
            <th scope="col">against its limit</th>
            <th scope="col" className="right">
              value
            </th>
            <th scope="col">interval</th>
            <th scope="col" className="right">
              rows
            </th>
            <th scope="col">what it says</th>
          </tr>
        </thead>
        <tbody>
          {evidence.map((item, i) => (
            <EvidenceRow key={`${item.name}${i}`} item={item} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function EvidenceRow({ item }: { item: Evidence }) {
  const interval = item.lo === null || item.hi === null ? "" : `${number(item.lo)} to ${number(item.hi)}`;
  return (
    <tr>
      <th scope="row">
        {spell(item.name)}
      </th>
      <td>
        {item.value !== null && (
          <Gauge
            value={item.value}
            lo={item.lo}
            hi={item.hi}
            limit={item.limit}
            good={null}
            tone="accent"
            label={`${spell(item.name)}: ${number(item.value)}${interval ? `, ${interval}` : ""}`}
          />
        )}
      </td>
      <td className="right">{number(item.value)}</td>
      <td className="note">{interval}</td>
      <td className="right note">{item.n === null ? "" : count(item.n)}</td>
      <td>
        {item.text}
        {item.data.length > 0 && <span className="note mono"> {item.data.join(", ")}</span>}
      </td>
    </tr>
  );
}

function effect(one: Effect): string {
  const band = one.lo === null || one.hi === null ? "" : ` (${signed(one.lo)} to ${signed(one.hi)})`;
  return `${signed(one.value)} ${spell(one.measure)}${band}${one.n === null ? "" : ` on ${count(one.n)} rows`}`;
}

function params(values: Record<string, unknown>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${typeof value === "object" ? JSON.stringify(value) : String(value)}`)
    .join("  ");
}
