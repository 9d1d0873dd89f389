// Essential variables as instruments: history with its band, a gauge against the limit, the value beside its interval.
import { useCursor } from "../../components/timeline";
import type { Point, State, VariableStatus } from "../../lib/records";
import {
  inUnit,
  intervalText,
  limitText,
  STATE_TONES,
  STATE_WORDS,
  unitOf,
  windowText,
} from "../../lib/describe";
import { count, day } from "../../lib/format";
import { nearest } from "../../lib/scale";
import { StatePill } from "../../components/basics";
import { Gauge } from "../../components/gauge";
import { History } from "../../components/sparkline";

export function Variables({ variables, at }: { variables: readonly VariableStatus[]; at: number }) {
  if (variables.length === 0) {
    return (
      <p className="quiet">
        Nothing must hold yet. Add a line under <code>hold:</code> in homeostat.yaml and type <code>homeostat apply</code>.
      </p>
    );
  }
  return (
    <table className="vars">
      <thead>
        <tr>
          <th scope="col">must hold</th>
          <th scope="col" className="col-spark">
            history
          </th>
          <th scope="col" className="col-gauge">
            room
          </th>
          <th scope="col">
            <NowOrThen at={at} />
          </th>
          <th scope="col">limit</th>
          <th scope="col" className="right">
            state
          </th>
        </tr>
      </thead>
      <tbody>
        {variables.map((variable) => (
          <VariableRow key={variable.variable} variable={variable} />
        ))}
      </tbody>
    </table>
  );
}

function NowOrThen({ at }: { at: number }) {
  const cursor = useCursor();
  return <>{cursor === null ? "now" : `on ${day(cursor, at)}`}</>;
}

/** What the variable was at a time, from its history; its status now when there is no time. */
function reading(variable: VariableStatus, cursor: number | null): Pick<Point, "value" | "lo" | "hi"> & { state: State } {
  const { history } = variable;
  if (cursor === null || history.length === 0) return variable;
  const point = history[nearest(history, cursor, (p) => p.at_ms)] as Point;
  return { value: point.value, lo: point.lo, hi: point.hi, state: stateOf(variable, point) };
}

/** The state a point of the history stands for; whether the evidence then was enough is not recorded in it. */
function stateOf(variable: VariableStatus, { value, lo, hi }: Point): State {
  if (value === null) return "unknown";
  const over = variable.comparison === ">=";
  const holds = (x: number) => (over ? x >= variable.limit : x <= variable.limit);
  const worst = (over ? lo : hi) ?? value;
  const best = (over ? hi : lo) ?? value;
  if (holds(worst)) return "within";
  return holds(best) ? "at_risk" : "out";
}

function VariableRow({ variable }: { variable: VariableStatus }) {
  const cursor = useCursor();
  const unit = unitOf(variable.measure);
  const name = variable.label;
  const now = reading(variable, cursor);
  const limit = limitText(variable.comparison, variable.limit, unit);
  const said = `${name}: ${inUnit(now.value, unit)}, limit ${limit}, ${STATE_WORDS[now.state]}`;
  const under = [windowText(variable.window_ms), variable.detail];
  return (
    <tr title={variable.variable}>
      <th scope="row">
        <span className="var-name">{name}</span>
        <span className="note">{under.filter(Boolean).join(" · ")}</span>
      </th>
      <td className="col-spark">
        <History points={variable.history} limit={variable.limit} label={`History of ${name}`} />
      </td>
      <td className="col-gauge">
        <Gauge
          value={now.value}
          lo={now.lo}
          hi={now.hi}
          limit={variable.limit}
          good={variable.comparison}
          also={variable.history.map((p) => p.value)}
          tone={STATE_TONES[now.state]}
          label={said}
        />
      </td>
      <td className="col-value">
        {now.value === null ? (
          <span className="note">
            {count(variable.n)} of {count(variable.min_n)} rows
          </span>
        ) : (
          <>
            <span className="value">{inUnit(now.value, unit)}</span>{" "}
            <span className="note">{intervalText(now.value, now.lo, now.hi, unit)}</span>
          </>
        )}
      </td>
      <td className="col-limit note">{limit}</td>
      <td className="right">
        <StatePill state={now.state} />
      </td>
    </tr>
  );
}
