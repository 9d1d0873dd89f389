// Essential variables as instruments: history with its band, a gauge against the limit, the value beside its interval.
import { useMemo } from "react";
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

/** What is counted has an interval too, but not one that its state depends on: the value alone is shown. */
function shown(variable: VariableStatus): VariableStatus {
  if (!COUNTED.test(variable.measure)) return variable;
  const bare = variable.history.map((point) => ({ ...point, lo: null, hi: null }));
  return { ...variable, lo: null, hi: null, history: bare };
}

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

/** What is counted rather than estimated from labels; of its limit, so much may be used up before it is at risk. */
const COUNTED = /^(latency|errors|missing|freshness)/;
const NEAR = 0.8;

/** The state a point of the history stands for, by the loop's own rule. Too little evidence is not recorded in it. */
export function stateOf(variable: Pick<VariableStatus, "measure" | "limit" | "comparison">, point: Point): State {
  const { value } = point;
  if (value === null) return "unknown";
  const { limit, comparison } = variable;
  const [lo, hi] = [point.lo ?? value, point.hi ?? value];
  if (COUNTED.test(variable.measure)) return lo > limit ? "out" : value > NEAR * limit ? "at_risk" : "within";
  if (comparison === ">=") return lo >= limit ? "within" : hi < limit ? "out" : "at_risk";
  return hi <= limit ? "within" : lo > limit ? "out" : "at_risk";
}

/** What stands where a value will be: how much there is of what is needed to tell it. */
export function lacking(variable: Pick<VariableStatus, "measure" | "by" | "n" | "min_n">): string {
  const what = /^(latency|errors)/.test(variable.measure) ? "requests" : "rows";
  // Of a variable by slice `min_n` is what one slice needs and `n` what all have: no share can be made of them.
  return variable.by ? `${count(variable.n)} ${what} in all` : `${count(variable.n)} of ${count(variable.min_n)} ${what}`;
}

function VariableRow({ variable: recorded }: { variable: VariableStatus }) {
  const cursor = useCursor();
  const variable = useMemo(() => shown(recorded), [recorded]);
  const unit = unitOf(variable.measure);
  const name = variable.label;
  const { state } = reading(recorded, cursor);
  const now = { ...reading(variable, cursor), state };
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
            {lacking(variable)}
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
