// The same thing done to many runs: a few at a time, and told in the end how many it could not be done to.
import { ApiError, get, type RunFilter } from "./api";
import { invalidate } from "./query";

const AT_ONCE = 6;
const PAGE = 1000;
export const MOST_CHOSEN = 10_000;

/** Does `act` for each id; the ids for which it was refused, with the first reason. */
export async function each(ids: readonly string[], act: (id: string) => Promise<unknown>): Promise<{ done: string[]; refused: string }> {
  const left = [...ids];
  const done: string[] = [];
  let refused = "";
  const work = async () => {
    for (let id = left.shift(); id !== undefined; id = left.shift()) {
      try {
        await act(id);
        done.push(id);
      } catch (error) {
        refused ||= error instanceof ApiError ? error.message : String(error);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  invalidate(["tracking/"]);
  return { done, refused };
}

/** The ids of all runs that a filter finds, at most ten thousand. */
export async function idsOf(filter: RunFilter, order: string): Promise<string[]> {
  const ids: string[] = [];
  let after: string | null = null;
  do {
    const page: { runs: { id: string }[]; next: string | null } = await get("tracking/search_runs", {
      ...filter,
      order_by: order,
      limit: PAGE,
      columns: [],
      ...(after === null ? {} : { after }),
    });
    ids.push(...page.runs.map((run) => run.id));
    after = page.next;
  } while (after !== null && ids.length < MOST_CHOSEN);
  return ids.slice(0, MOST_CHOSEN);
}
