import type { Route } from "../../lib/records";

/** Who answers which share of requests. Shadows answer nobody and stand beside the bar. */
export function RouteBar({ routes }: { routes: readonly Route[] }) {
  const answering = routes.filter((route) => route.role !== "shadow" && route.weight > 0);
  const total = answering.reduce((sum, route) => sum + route.weight, 0) || 1;
  let from = 0;
  const said = routes.map((r) => (r.role === "shadow" ? `v${r.version} in shadow` : `v${r.version} ${Math.round((r.weight / total) * 100)} %`));
  return (
    <span className="routes">
      <svg width={72} height={8} aria-hidden>
        {answering.map((route) => {
          const width = (route.weight / total) * 72;
          const x = from;
          from += width;
          return <rect key={`${route.role}${route.version}`} className={route.role} x={x} y={0} width={Math.max(1, width - 1)} height={8} rx={2} />;
        })}
      </svg>
      <span>{said.join(", ")}</span>
    </span>
  );
}
