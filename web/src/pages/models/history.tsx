// Everything done to a model, newest first; each entry holds the digest of the one before, so that a changed one shows.
import { useState } from "react";
import type { HistoryCheck, HistoryEntry } from "../../lib/records";
import { get } from "../../lib/api";
import { useVerb } from "../../lib/query";
import { count, short } from "../../lib/format";
import { Link, path } from "../../lib/router";
import { Card, Time } from "../../components/basics";
import { Icon } from "../../components/icon";
import { tell } from "../../components/toast";
import { points } from "./requests";

const FIRST = 20;
const MOST = 1000;

/** What an entry says, in words. */
export function said(entry: HistoryEntry): string {
  const words = entry.action.replaceAll("_", " ");
  if (entry.action === "alias_moved") return `${entry.alias} moved from ${points(entry.previous)} to ${points(entry.version)}`;
  if (entry.action === "stage_changed") return `stage of v${entry.version} changed from ${entry.detail.from} to ${entry.detail.to}`;
  if (entry.action === "alias_requested") return `move of ${entry.alias} from ${points(entry.previous)} to ${points(entry.version)} asked for`;
  if (entry.alias !== null) return `${words.replace(/^alias /, `${entry.alias}: `)}${entry.version === null ? "" : ` v${entry.version}`}`;
  return entry.version === null ? words : words.replace("version", `v${entry.version}`);
}

export function History({ model }: { model: string }) {
  const [most, setMost] = useState(FIRST);
  const [check, setCheck] = useState<HistoryCheck | null>(null);
  const entries = useVerb("registry/history", { model, limit: Math.min(MOST, most + 1) }).data ?? [];
  if (entries.length === 0) return null;
  const verify = () => void get("registry/verify_history", { model }).then(setCheck, (error: unknown) => tell(String(error)));
  return (
    <Card
      title="History"
      className="history"
      aside={
        check === null ? (
          <button type="button" className="ghost" onClick={verify}>
            verify it
          </button>
        ) : (
          <span className={`state ${check.intact ? "ok" : "bad"}`} role="status">
            <Icon name={check.intact ? "check" : "cross"} size={12} />
            {check.intact ? `all ${count(check.entries)} entries are what was written` : `entry ${check.broken_at} is not what was written`}
          </span>
        )
      }
    >
      <div className="scroll-x" tabIndex={0} role="region" aria-label="History">
        <table className="plain">
          <thead>
            <tr>
              <th scope="col">what</th>
              <th scope="col">why</th>
              <th scope="col">who</th>
              <th scope="col">when</th>
              <th scope="col" className="right">digest</th>
            </tr>
          </thead>
          <tbody>
            {entries.slice(0, most).map((entry) => (
              <tr key={entry.id}>
                <td>{said(entry)}</td>
                <td className="note">{entry.reason || "–"}</td>
                <td>
                  {entry.actor}
                  {entry.run_id !== null && (
                    <>
                      {" "}
                      in <Link to={path("runs", entry.run_id)}>run {entry.run_id.slice(0, 8)}</Link>
                    </>
                  )}
                </td>
                <td>
                  <Time ms={entry.at_ms} />
                </td>
                <td className="right mono note" title={`${entry.digest}, after ${entry.before}`}>
                  {short(entry.digest)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {entries.length > most && (
        <button type="button" className="ghost more" onClick={() => setMost(Math.min(MOST - 1, most + 100))}>
          show earlier ones
        </button>
      )}
    </Card>
  );
}
