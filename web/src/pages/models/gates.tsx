import type { GateResult, ModelVersion } from "../../lib/records";
import { spell } from "../../lib/describe";
import { number } from "../../lib/format";
import { Card } from "../../components/basics";
import { Gauge } from "../../components/gauge";
import { Icon } from "../../components/icon";

/** What a version had to pass, failures first, each with its value against its limit. */
export function Gates({ gates, status }: { gates: readonly GateResult[]; status: ModelVersion["status"] }) {
  const passed = gates.filter((gate) => gate.passed).length;
  const sorted = [...gates].sort((a, b) => Number(a.passed) - Number(b.passed));
  return (
    <Card title="Gates" aside={gates.length === 0 ? status : `${passed} of ${gates.length} passed`}>
      {gates.length === 0 ? (
        <p className="quiet">No gate has judged this version yet.</p>
      ) : (
        <ul className="gates">
          {sorted.map((gate) => (
            <li key={gate.gate} className={gate.passed ? "ok" : "bad"}>
              <span className={`state ${gate.passed ? "ok" : "bad"}`}>
                <Icon name={gate.passed ? "check" : "cross"} size={13} label={gate.passed ? "passed" : "failed"} />
              </span>
              <span className="gate-name">{spell(gate.gate)}</span>
              <span>
                {gate.value !== null && gate.limit !== null && (
                  <Gauge
                    value={gate.value}
                    lo={null}
                    hi={null}
                    limit={gate.limit}
                    good={(gate.value >= gate.limit) === gate.passed ? ">=" : "<="}
                    tone={gate.passed ? "ok" : "bad"}
                    width={88}
                    label={`${number(gate.value)} against ${number(gate.limit)}`}
                  />
                )}
              </span>
              <span className="right">{gate.value === null ? "" : number(gate.value)}</span>
              <span className="note">{gate.reason}</span>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}
