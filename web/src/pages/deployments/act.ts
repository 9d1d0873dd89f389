// Changes to a deployment: each is bound to the generation that was looked at, and says whose change came first.
import { ApiError, get, post, type Changes } from "../../lib/api";
import { moment } from "../../lib/format";
import { invalidate } from "../../lib/query";
import { tell } from "../../components/toast";
import { because, routed } from "./words";

/** Calls a verb of serving; whether it was done. What stood in the way is told, and everything shown is asked again. */
export async function change<V extends keyof Changes>(verb: V, args: Changes[V] & { model: string }, said: string): Promise<boolean> {
  try {
    await post(verb, args);
    tell(said);
    return true;
  } catch (error) {
    tell(await why(args.model, error));
    return false;
  } finally {
    invalidate(["serving/", "loop/", "lineage/"]);
  }
}

async function why(model: string, error: unknown): Promise<string> {
  if (!(error instanceof ApiError)) return String(error);
  if (error.status !== 409) return `${error.message} ${error.hint}`;
  const [last] = await get("serving/deployment_history", { model, limit: 1 }).catch(() => []);
  if (last === undefined) return error.message;
  return `Nothing was changed: ${last.actor} was first. Generation ${last.generation}, ${because(last)} at ${moment(last.at_ms)} UTC: ${routed(last.routes)}.`;
}
