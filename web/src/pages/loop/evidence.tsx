// What a decision stood on: each piece of evidence with its interval drawn to scale, the rule, the roads not taken.
import { useState } from "react";
import type { Decision, Effect, Evidence } from "../../lib/records";
import { inUnit, spell, unitOf } from "../../lib/describe";
import { count, day, duration, short, signed } from "../../lib/format";
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

/** Of many inputs that moved so many are told at once; the rest on request. */
const FEW = 4;

function EvidenceTable({ evidence }: { evidence: readonly Evidence[] }) {
  const [all, setAll] = useState(false);
  const drifts = evidence.filter((item) => item.kind === "drift");
  const hidden = all || drifts.length <= FEW + 1 ? [] : drifts.slice(FEW);
  const shown = evidence.filter((item) => !hidden.includes(item));
  const read = [...new Set(evidence.flatMap((item) => item.data))];
  return (
    <div>
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
            {shown.map((item, i) => (
              <EvidenceRow key={`${item.name}${i}`} item={item} />
            ))}
          </tbody>
        </table>
      </div>
      <p className="note evidence-foot">
        {hidden.length > 0 && (
          <button type="button" className="link" onClick={() => setAll(true)}>
            show {hidden.length} more inputs that moved
          </button>
        )}
        {read.length > 0 && (
          <span>
            read from <span className="mono">{read.join(", ")}</span>
          </span>
        )}
      </p>
    </div>
  );
}

/** An evidence's number in the unit of what it speaks of. */
export function evidenceValue(item: Pick<Evidence, "kind" | "name">, value: number | null): string {
  if (value === null) return "";
  if (item.kind === "age") return duration(value);
  if (item.kind === "labels" || item.kind === "history") return count(value);
  if (item.kind === "gap" || item.kind === "slice" || item.kind === "sequence") return signed(value);
  const unit = unitOf(/^\w+/.exec(item.name)?.[0] ?? "");
  return unit === "plain" && Math.abs(value) < 1000 ? value.toFixed(3).replace("-", "\u2212") : inUnit(value, unit);
}

/** "auc[carrier] >= 0.65 over 28d" stands as it was written; other names become words. */
function evidenceName(name: string): string {
  return /[<>[]/.test(name) ? name.replace(">=", "≥").replace("<=", "≤") : spell(name);
}

function EvidenceRow({ item }: { item: Evidence }) {
  const value = evidenceValue(item, item.value);
  const interval = item.lo === null || item.hi === null ? "" : `${evidenceValue(item, item.lo)} to ${evidenceValue(item, item.hi)}`;
  const name = evidenceName(item.name);
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>
        {item.value !== null && (
          <Gauge
            value={item.value}
            lo={item.lo}
            hi={item.hi}
            limit={item.limit}
            good={null}
            tone="accent"
            label={[name, value, interval].filter(Boolean).join(", ")}
          />
        )}
      </td>
      <td className="right">{value || "–"}</td>
      <td className="note nowrap">{interval}</td>
      <td className="right note">{item.n === null ? "" : count(item.n)}</td>
      <td>{item.text}</td>
    </tr>
  );
}

function effect(one: Effect): string {
  const band = one.lo === null || one.hi === null ? "" : ` (${signed(one.lo)} to ${signed(one.hi)})`;
  return `${signed(one.value)} ${spell(one.measure)}${band}${one.n === null ? "" : ` on ${count(one.n)} rows`}`;
}

function params(values: Record<string, unknown>): string {
  return Object.entries(values)
    .map(([name, value]) => {
      if (typeof value === "number" && name.endsWith("_ms")) return `${name.slice(0, -3)}=${duration(value)}`;
      return `${name}=${typeof value === "object" ? JSON.stringify(value) : String(value)}`;
    })
    .join("  ");
}
