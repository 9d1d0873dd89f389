// Several models: one line each, the one that needs a look first.
import type { LoopState, LoopStatus } from "../../lib/records";
import { inUnit, intervalText, unitOf } from "../../lib/describe";
import { Link, path } from "../../lib/router";
import { plural } from "../../lib/format";
import { Say, StatePill } from "../../components/basics";
import { Spark } from "../../components/sparkline";
import { Page } from "../../components/page";

const URGENCY: Record<LoopState, number> = { out: 0, at_risk: 1, unknown: 2, holding: 3 };

function opening(loops: readonly LoopStatus[]): string {
  const holding = loops.filter((l) => l.state === "holding").length;
  const rest = loops.length - holding;
  if (rest === 0) return `All **${loops.length}** models hold. Nothing needs you.`;
  return `**${holding}** of **${loops.length}** models hold; ${plural(rest, "model needs", "models need")} a look.`;
}

export function LoopList({ loops }: { loops: readonly LoopStatus[] }) {
  const sorted = [...loops].sort((a, b) => URGENCY[a.state] - URGENCY[b.state] || a.model.localeCompare(b.model));
  return (
    <Page title="Loop" trail={["Loop"]}>
      <Say>{opening(loops)}</Say>
      <ul className="loop-list">
        {sorted.map((loop) => {
          const central = loop.central;
          return (
            <li key={loop.model} className="card">
              <div className="loop-line">
                <Link to={path("loop", loop.model)} className="loop-name">
                  {loop.model}
                </Link>
                <StatePill state={loop.state} />
                <span className="grow" />
                {central && (
                  <>
                    <Spark values={central.history.map((p) => p.value)} width={120} height={28} label={`History of ${central.label}`} />
                    <span>
                      <span className="value">{inUnit(central.value, unitOf(central.measure))}</span>{" "}
                      <span className="note">
                        {intervalText(central.value, central.lo, central.hi, unitOf(central.measure))} {central.label}
                      </span>
                    </span>
                  </>
                )}
              </div>
              <p className="note">{loop.sentence}</p>
            </li>
          );
        })}
      </ul>
    </Page>
  );
}
