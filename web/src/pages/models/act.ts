// Changes to models and to what is told of them: done, told, and where it can be, taken back.
import { ApiError, post, type Changes } from "../../lib/api";
import { arrived, invalidate } from "../../lib/query";
import { tell } from "../../components/toast";

/** Calls a verb of the registry; whether it was done. `said` is told then, with the way back. */
export async function act<V extends keyof Changes>(verb: V, args: Changes[V], said: string, undo: (() => void) | null = null): Promise<boolean> {
  try {
    await post(verb, args);
  } catch (error) {
    tell(error instanceof ApiError ? `${error.message} ${error.hint}` : String(error));
    return false;
  }
  invalidate(["registry/", "loop/", "lineage/", "notify/"]);
  await arrived(["registry/", "notify/"]); // what is pressed next is bound to what is shown
  tell(said, undo);
  return true;
}
