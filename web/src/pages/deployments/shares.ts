// Routes that add up: the champion has what the canaries leave. Weights are kept to a hundredth of a percent.
import type { Route } from "../../lib/records";

const tidy = (weight: number): number => Math.round(weight * 10_000) / 10_000;

/** The routes that answer, the champion first, with the champion's weight set to what is left. */
export function balanced(routes: readonly Route[]): Route[] {
  const given = routes.reduce((sum, route) => sum + (route.role === "canary" ? route.weight : 0), 0);
  return routes.map((route) => (route.role === "champion" ? { ...route, weight: tidy(Math.max(0, 1 - given)) } : route));
}

/** The weight of one canary or shadow set; a canary gets no more than the others leave. */
export function moved(routes: readonly Route[], version: number, weight: number): Route[] {
  const others = routes.reduce((sum, route) => sum + (route.role === "canary" && route.version !== version ? route.weight : 0), 0);
  const most = (route: Route) => (route.role === "shadow" ? 1 : tidy(1 - others));
  return balanced(routes.map((route) => (route.version === version ? { ...route, weight: Math.min(most(route), Math.max(0, tidy(weight))) } : route)));
}

export function removed(routes: readonly Route[], version: number): Route[] {
  return balanced(routes.filter((route) => route.version !== version));
}

/** A version more, with no more than there is left for it. */
export function withRoute(routes: readonly Route[], route: Route): Route[] {
  return moved([...routes, route], route.version, route.weight);
}

/** One version alone; the shadows stay, but for itself. */
export function promoted(routes: readonly Route[], version: number): Route[] {
  return [{ version, weight: 1, role: "champion" }, ...routes.filter((route) => route.role === "shadow" && route.version !== version)];
}

/** The champion and the shadows: every canary taken back. */
export function takenBack(routes: readonly Route[]): Route[] {
  return balanced(routes.filter((route) => route.role !== "canary"));
}

/** Who answers, the champion last: canaries have the low end, as on the data plane. */
export function shareOut(routes: readonly Route[]): Route[] {
  const order = { canary: 0, champion: 1, shadow: 2 };
  return routes.filter((route) => route.role !== "shadow" && route.weight > 0).sort((a, b) => order[a.role] - order[b.role] || a.version - b.version);
}
