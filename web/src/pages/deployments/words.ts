// How a deployment, its routes and its changes are said in words.
import type { Deployment, DeploymentChange, Route, ServingState, Traffic } from "../../lib/records";
import { duration, number, percent, plural } from "../../lib/format";

/** A share with as many digits as it needs: 0.1 → "10 %", 0.125 → "12.5 %". */
export function share(weight: number): string {
  return `${Number((weight * 100).toFixed(2))}\u202f%`;
}

const REASONS: Record<string, string> = {
  deploy: "deployed",
  routes: "shares set",
  rollback: "rolled back",
  undeploy: "undeployed",
  canary: "canary begun",
  "canary step": "canary raised",
  "canary promoted": "canary promoted",
  "canary back": "canary taken back",
  bandit: "bandit begun",
  "bandit shares": "bandit shared anew",
};

/** Why a generation came to be. */
export function because(change: Pick<DeploymentChange, "reason">): string {
  return REASONS[change.reason] ?? change.reason;
}

/** The versions in words: "v4 90 %, v5 10 % as canary, v6 in shadow of 20 %". */
export function routed(routes: readonly Route[]): string {
  if (routes.length === 0) return "nothing answers";
  return routes
    .map((route) => {
      if (route.role === "shadow") return `v${route.version} in shadow of ${share(route.weight)}`;
      return `v${route.version} ${share(route.weight)}${route.role === "canary" ? " as canary" : ""}`;
    })
    .join(", ");
}

/** What is going on, for the list: the rollout, if there is one. */
export function rollout(deployment: Deployment): string {
  const { canary, bandit, routes } = deployment;
  if (canary !== null) return `canary v${canary.version}, step ${canary.steps.length} of ${canary.policy.weights.length}`;
  if (bandit !== null) return `bandit of ${bandit.versions.map((version) => `v${version}`).join(", ")}`;
  return routes.some((route) => route.role === "canary") ? "shares set by hand" : "steady";
}

/** How the data planes stand: the worst of them is told. */
export function planes(states: readonly ServingState[], generation: number): { tone: "ok" | "warn" | "bad" | "quiet"; text: string } {
  const failed = states.find((state) => state.state === "failed");
  if (failed !== undefined) return { tone: "bad", text: `generation ${failed.generation} cannot be served` };
  if (states.length === 0) return { tone: "quiet", text: "no data plane" };
  const there = states.filter((state) => state.state !== "loading" && state.generation >= generation).length;
  if (there < states.length) return { tone: "warn", text: `loading, ${there} of ${states.length}` };
  return { tone: "ok", text: states.length === 1 ? "ready" : `${states.length} ready` };
}

/** Requests per second over the whole time. */
export function rate(traffic: Traffic): number {
  return (traffic.requests * 1000) / (traffic.to_ms - traffic.from_ms) / (traffic.log_share || 1);
}

/** "12.4", "0.02", "1,204": a rate with the digits that matter. */
export function perSecond(value: number): string {
  return number(value, value >= 0.1 || value === 0 ? 1 : 3);
}

/** A latency: microseconds where milliseconds would say nothing. */
export function latency(ms: number | null): string {
  return ms !== null && ms < 0.1 ? `${Math.round(ms * 1000)} µs` : duration(ms);
}

/** What was answered in the last `span`, as half a sentence. */
export function lately(traffic: Traffic | undefined, span: number): string {
  if (traffic === undefined) return "";
  const over = duration(span);
  if (traffic.requests === 0) return ` Nobody has asked in the last ${over}.`;
  const errors = traffic.failed === 0 ? "no failure" : `**${percent(traffic.failed / traffic.requests, 2)}** failed`;
  const p95 = traffic.latency_p95_ms === null ? "" : `, 95 % within **${latency(traffic.latency_p95_ms)}**`;
  return ` **${perSecond(rate(traffic))}** requests a second${p95}, ${errors}, in the last ${over}.`;
}

/** The page's opening. */
export function opening(deployment: Deployment, traffic: Traffic | undefined, span: number): string {
  const answering = deployment.routes.filter((route) => route.role !== "shadow" && route.weight > 0);
  const [first] = answering;
  const who = answering.length === 1 && first !== undefined ? `**v${first.version}** answers every request.` : `${plural(answering.length, "version")} share the requests: **${answering.map((r) => `v${r.version} ${share(r.weight)}`).join(", ")}**.`;
  return who + lately(traffic, span);
}
