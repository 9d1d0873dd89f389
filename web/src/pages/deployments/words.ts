// How a deployment, its routes and its changes are said in words.
import type { Deployment, DeploymentChange, OutputDifference, Route, ServingState, ShadowComparison, Traffic } from "../../lib/records";
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
  options: "options set",
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

/** The versions in few words: "v4", or "v4 90 %, v5 10 %". Shadows are left out. */
export function brief(routes: readonly Route[]): string {
  const answering = routes.filter((route) => route.role !== "shadow" && route.weight > 0);
  return answering.map((route) => (answering.length === 1 ? `v${route.version}` : `v${route.version} ${share(route.weight)}`)).join(", ");
}

/** What is going on, for the list: the rollout, if there is one. */
export function rollout(deployment: Deployment): string {
  const { canary, bandit, routes, members } = deployment;
  if (members.length > 0 && canary === null && bandit === null && routes.length === 1) return `graph of ${plural(members.length, "model")}`;
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
  if (states.every((state) => state.state === "unloaded")) return { tone: "quiet", text: "asleep" };
  return { tone: "ok", text: states.length === 1 ? "ready" : `${states.length} ready` };
}

const MAX_WAITING = 2048;
const TIMEOUT_MS = 30_000;

/** How a deployment is served where that is not as by default, a phrase each. */
export function served(deployment: Deployment): string[] {
  const { min_replicas, max_replicas, idle_s, callers, rate_limit, log_share, redacted, sticky, key, time, max_waiting, timeout_ms } = deployment;
  const told: string[] = [];
  if (max_waiting !== MAX_WAITING) told.push(`${plural(max_waiting, "request")} may wait, more get 429`);
  if (timeout_ms !== TIMEOUT_MS) told.push(`answered within ${duration(timeout_ms)}, or with 504`);
  if (max_replicas > 1) told.push(`${min_replicas === max_replicas ? max_replicas : `${min_replicas} to ${max_replicas}`} replicas, as the load asks for`);
  else if (min_replicas > 0) told.push("always in memory");
  if (idle_s > 0) told.push(`unloaded after ${duration(idle_s * 1000)} without a request; the next one is held while it is loaded`);
  if (callers.length > 0) told.push(`answers ${callers.join(", ")} only`);
  if (rate_limit > 0) told.push(`${number(rate_limit)} requests a second for each caller, more get 429`);
  if (log_share < 1) told.push(`${share(log_share)} of the requests are logged`);
  if (redacted.length > 0) told.push(`${redacted.join(", ")} never logged`);
  if (key !== "key" || time !== "time") told.push(`a row's key comes as ${key}, its time as ${time}`);
  if (sticky === "key") told.push(`a ${key} stays with its version`);
  return told;
}

/** How it is served where nothing is set. */
export function byDefault({ max_waiting, timeout_ms }: Deployment): string {
  return `As by default: one replica, ${plural(max_waiting, "request")} may wait, each is answered within ${duration(timeout_ms)} and logged.`;
}

/** Requests per second over the whole time, of all or of some of them. */
export function rate(traffic: Pick<Traffic, "from_ms" | "to_ms" | "log_share">, requests: number): number {
  return (requests * 1000) / (traffic.to_ms - traffic.from_ms) / (traffic.log_share || 1);
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
  return ` **${perSecond(rate(traffic, traffic.requests))}** requests a second${p95}, ${errors}, in the last ${over}.`;
}

/** A shadow beside what was answered, in a sentence or two. */
export function compared(shadow: ShadowComparison): string {
  const { version, rows, outputs } = shadow;
  const worst = outputs.reduce<OutputDifference | undefined>((least, one) => (least === undefined || one.equal < least.equal ? one : least), undefined);
  if (worst === undefined) return `v${version} gives nothing that what was answered gives too.`;
  const part = worst.equal === 1 || worst.equal === 0 ? `all ${plural(rows, "row")}` : `${percent(1 - worst.equal)} of ${plural(rows, "row")}`;
  const same = `v${version} would have answered ${part} ${worst.equal === 1 ? "the same" : "otherwise"}`;
  const far = worst.equal === 1 || worst.difference_mean === null ? "" : `: ${outputs.length > 1 ? `${worst.output} ` : ""}by ${number(worst.difference_mean)} on average, ${number(worst.difference_max)} at most`;
  const { latency_p95_ms: own, latency_answered_p95_ms: answered } = shadow;
  if (own === null || answered === null || answered === 0) return `${same}${far}.`;
  const pace = own > answered * 1.1 ? "is slower" : own < answered / 1.1 ? "is faster" : "takes as long";
  return `${same}${far}. It ${pace}: 95 % within ${latency(own)}, beside ${latency(answered)} of what was answered.`;
}

/** The page's opening. */
export function opening(deployment: Deployment, traffic: Traffic | undefined, span: number): string {
  const answering = deployment.routes.filter((route) => route.role !== "shadow" && route.weight > 0);
  const [first] = answering;
  const who = answering.length === 1 && first !== undefined ? `**v${first.version}** answers every request.` : `${plural(answering.length, "version")} share the requests: **${answering.map((r) => `v${r.version} ${share(r.weight)}`).join(", ")}**.`;
  return who + lately(traffic, span);
}
