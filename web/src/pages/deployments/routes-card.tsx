// Who answers what share: read at a glance, changed by sliders, and nothing happens before the button.
import { useState } from "react";
import type { Deployment, DeploymentChange, ModelVersion, Route } from "../../lib/records";
import { Card } from "../../components/basics";
import { Icon } from "../../components/icon";
import { backTo, change } from "./act";
import { Actions } from "./actions";
import { Outdated } from "./outdated";
import { moved, removed, shareOut, withRoute } from "./shares";
import { routed, share } from "./words";

interface RoutesProps {
  deployment: Deployment;
  versions: readonly ModelVersion[];
  history: readonly DeploymentChange[];
}
/** Routes that somebody is setting, and the generation that they began with. */
interface Draft {
  generation: number;
  routes: Route[];
}

export function RoutesCard({ deployment, versions, history }: RoutesProps) {
  const [draft, setDraft] = useState<Draft | null>(null);
  const routes = draft?.routes ?? deployment.routes;
  const set = (next: Route[]) => setDraft({ generation: draft?.generation ?? deployment.generation, routes: next });
  const same = JSON.stringify(routes) === JSON.stringify(deployment.routes);
  const outdated = draft !== null && draft.generation !== deployment.generation;
  const apply = async () => {
    if (draft === null) return;
    const { model } = deployment;
    await change("serving/set_routes", { model, routes: draft.routes, expect_generation: draft.generation }, `${model}: ${routed(draft.routes)}.`, backTo(deployment));
    setDraft(null);
  };
  const ends = deployment.canary !== null ? "This ends the canary: nothing judges it any more." : deployment.bandit !== null ? "This ends the bandit." : "";
  return (
    <Card title="Who answers" aside={<span>generation {deployment.generation}</span>} className="routes-card">
      <ShareBar routes={routes} />
      <ul className="route-list">
        {routes.map((route) => (
          <RouteRow key={route.version} route={route} routes={routes} arm={deployment.bandit?.versions.includes(route.version) ?? false} onMove={(weight) => set(moved(routes, route.version, weight))} onRemove={() => set(removed(routes, route.version))} />
        ))}
      </ul>
      <AddRoute routes={routes} versions={versions} onAdd={(route) => set(withRoute(routes, route))} />
      {outdated && <Outdated latest={history[0]} began={draft.generation} />}
      {!same && (
        <div className="apply" role="group" aria-label="Changes that are not made yet">
          <p>
            From now on: <b>{routed(routes)}</b>. {ends}
          </p>
          <span className="confirm-buttons">
            <button type="button" className="primary" onClick={() => void apply()}>
              apply
            </button>
            <button type="button" className="ghost" onClick={() => setDraft(null)}>
              discard
            </button>
          </span>
        </div>
      )}
      {same && <Actions deployment={deployment} versions={versions} history={history} />}
    </Card>
  );
}

const SPAN = 1000;

/** The shares as one bar, shadows beneath it. */
function ShareBar({ routes }: { routes: readonly Route[] }) {
  let from = 0;
  return (
    <svg className="share-bar" viewBox={`0 0 ${SPAN} 14`} preserveAspectRatio="none" role="img" aria-label={routed(routes)}>
      {shareOut(routes).map((route) => {
        const x = from;
        from += route.weight * SPAN;
        return <rect key={route.version} className={route.role} x={x} y={0} width={Math.max(0, route.weight * SPAN - 2)} height={14} />;
      })}
    </svg>
  );
}

interface RowProps {
  route: Route;
  routes: readonly Route[];
  /** Whether a bandit moves its share. */
  arm: boolean;
  onMove: (weight: number) => void;
  onRemove: () => void;
}

function RouteRow({ route, routes, arm, onMove, onRemove }: RowProps) {
  const { version, role, weight } = route;
  const rest = routes.reduce((sum, r) => sum + (r.role === "canary" && r !== route ? r.weight : 0), 0);
  const most = role === "shadow" ? 1 : 1 - rest;
  const named = `Share of v${version}, ${role}`;
  const read = (text: string) => {
    const given = Number(text);
    if (text !== "" && Number.isFinite(given)) onMove(Math.min(most, Math.max(0, given / 100)));
  };
  return (
    <li>
      <span className="route-name">
        <i className={`route-mark ${role}`} /> <b>v{version}</b> <span className="note">{arm && role === "canary" ? "arm of the bandit" : role}</span>
      </span>
      {role === "champion" ? (
        <>
          <span className="note route-slide">{routes.some((r) => r.role === "canary") ? "what is left" : "everything"}</span>
          <output className="value">{share(weight)}</output>
        </>
      ) : (
        <>
          <input
            type="range"
            className="route-slide"
            aria-label={named}
            aria-valuetext={role === "shadow" ? `sees ${share(weight)}` : `${share(weight)}, champion ${share(1 - rest - weight)}`}
            min={0}
            max={100}
            step={1}
            value={Math.round(weight * 100)}
            onChange={(event) => read(event.target.value)}
          />
          <span className="route-number">
            <input type="number" aria-label={`${named}, in percent`} min={0} max={100} step={0.1} value={Number((weight * 100).toFixed(2))} onChange={(event) => read(event.target.value)} /> %
          </span>
          <button type="button" className="ghost" aria-label={`Take v${version} out`} onClick={onRemove}>
            <Icon name="cross" size={14} />
          </button>
        </>
      )}
    </li>
  );
}

function AddRoute({ routes, versions, onAdd }: { routes: readonly Route[]; versions: readonly ModelVersion[]; onAdd: (route: Route) => void }) {
  const free = versions.filter((version) => !routes.some((route) => route.version === version.version));
  if (free.length === 0) return null;
  const add = (role: Route["role"]) => (event: React.ChangeEvent<HTMLSelectElement>) => {
    if (event.target.value !== "") onAdd({ version: Number(event.target.value), role, weight: role === "shadow" ? 1 : 0.05 });
  };
  const offer = (role: "canary" | "shadow") => (
    <select aria-label={`Add a ${role}`} value="" onChange={add(role)}>
      <option value="">add a {role}…</option>
      {free
        .filter((version) => role === "shadow" || version.status !== "refused")
        .map((version) => (
          <option key={version.version} value={version.version}>
            v{version.version}
            {version.status === "valid" ? "" : ` (${version.status})`}
          </option>
        ))}
    </select>
  );
  return (
    <p className="add-route">
      {offer("canary")} {offer("shadow")}
    </p>
  );
}
