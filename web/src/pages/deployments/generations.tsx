// Every generation of a deployment: who changed what, when and why.
import type { DeploymentChange } from "../../lib/records";
import { Card, Time } from "../../components/basics";
import { RouteBar } from "../models/routes";
import { because, routed } from "./words";

export function Generations({ history, now }: { history: readonly DeploymentChange[]; now: number | null }) {
  if (history.length === 0) return null;
  return (
    <Card title="History" className="history">
      <div className="scroll-x" tabIndex={0} role="region" aria-label="History">
        <table className="plain stacked">
          <thead>
            <tr>
              <th scope="col">generation</th>
              <th scope="col">why</th>
              <th scope="col">who answered</th>
              <th scope="col">by</th>
              <th scope="col">when</th>
            </tr>
          </thead>
          <tbody>
            {history.map((one) => (
              <tr key={one.generation} aria-current={one.generation === now ? "true" : undefined}>
                <th scope="row">
                  <span className="stacked-only">generation </span>
                  {one.generation}
                  {one.generation === now && <span className="note"> now</span>}
                </th>
                <td data-label="why">{because(one)}</td>
                <td data-label="who answered" title={routed(one.routes)}>{one.routes.length > 0 ? <RouteBar routes={one.routes} /> : <span className="note">nothing</span>}</td>
                <td data-label="by">{one.actor}</td>
                <td data-label="when">
                  <Time ms={one.at_ms} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}
