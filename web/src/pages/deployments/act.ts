// Changes to a deployment: each is bound to the generation that was looked at, and says whose change came first.
import { ApiError, get, post, type Changes } from "../../lib/api";
import type { Deployment } from "../../lib/records";
import { moment } from "../../lib/format";
import { arrived, invalidate } from "../../lib/query";
import { tell } from "../../components/toast";
import { optionsOf } from "./options";
import { because, routed } from "./words";

/** Calls a verb of serving; whether it was done. What stood in the way is told, and everything shown is asked again.
 * `back` takes it back; it is given the generation that was made, so that nothing done since is undone with it. */
export async function change<V extends keyof Changes>(
  verb: V,
  args: Changes[V] & { model: string },
  said: string,
  back: ((generation: number) => Promise<unknown>) | null = null,
): Promise<boolean> {
  try {
    const made = (await post(verb, args)) as Deployment | null;
    await renewed();
    tell(said, back && (() => void back(made?.generation ?? 0)));
    return true;
  } catch (error) {
    const reason = await why(args.model, error);
    await renewed();
    tell(reason);
    return false;
  }
}

/** What is shown of deployments is what they have become: what is pressed next is bound to the generation shown. */
async function renewed(): Promise<void> {
  invalidate(["serving/", "loop/", "lineage/"]);
  await arrived(["serving/list_deployments"]);
}

/** The way back to the routes of `before`. They stay as they are then: what had moved them, a canary or bandit, has ended. */
export function backTo(before: Deployment): (generation: number) => Promise<unknown> {
  const { model, routes } = before;
  return (generation) => change("serving/set_routes", { model, routes, expect_generation: generation }, `${model}: ${routed(routes)} again.`);
}

/** Takes an undeployed model up again, as it was. */
export async function deployAgain(before: Deployment): Promise<void> {
  const { model, routes } = before;
  const version = routes.find((route) => route.role === "champion")?.version ?? 0;
  await change("serving/deploy", { model, version, ...optionsOf(before) }, `${model} is deployed again.`);
  const [now] = (await get("serving/list_deployments", {}).catch(() => [])).filter((one) => one.model === model);
  if (now !== undefined && routes.length > 1) await backTo(before)(now.generation);
}

async function why(model: string, error: unknown): Promise<string> {
  if (!(error instanceof ApiError)) return String(error);
  if (error.status !== 409) return `${error.message} ${error.hint}`;
  const [last] = await get("serving/deployment_history", { model, limit: 1 }).catch(() => []);
  if (last === undefined) return error.message;
  return `Nothing was changed: ${last.actor} was first. Generation ${last.generation}, ${because(last)} at ${moment(last.at_ms)} UTC: ${routed(last.routes)}.`;
}
