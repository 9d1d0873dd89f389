// Wishes to move an alias that a rule guards: who asked, who agreed, what is missing; and the rules themselves.
import { useState } from "react";
import type { AliasRequest, ApprovalRule } from "../../lib/records";
import { useVerb } from "../../lib/query";
import { duration, moment, plural } from "../../lib/format";
import { Card, Pill, Time } from "../../components/basics";
import { act } from "./act";

const LOOKS = {
  open: { tone: "accent", icon: "clock" },
  moved: { tone: "ok", icon: "check" },
  rejected: { tone: "bad", icon: "cross" },
  expired: { tone: "quiet", icon: "dash" },
  overtaken: { tone: "quiet", icon: "dash" },
} as const;

export const points = (version: number | null) => (version === null ? "nothing" : `v${version}`);

export function Requests({ model }: { model: string }) {
  const requests = useVerb("registry/list_requests", { model, limit: 50 }).data;
  const rules = useVerb("registry/list_rules", { model }).data ?? [];
  const [past, setPast] = useState(false);
  if (requests === undefined || (requests.length === 0 && rules.length === 0)) return null;
  const open = requests.filter((request) => request.status === "open");
  const ended = requests.length - open.length;
  return (
    <Card
      title="Approvals"
      className="requests"
      aside={
        ended > 0 && (
          <label className="check">
            <input type="checkbox" checked={past} onChange={(event) => setPast(event.target.checked)} />
            also the {plural(ended, "request")} that ended
          </label>
        )
      }
    >
      {open.length === 0 && <p className="quiet">No request waits.</p>}
      <ul>
        {(past ? requests : open).map((request) => (
          <Request key={request.id} request={request} />
        ))}
      </ul>
      {rules.map((rule) => (
        <p key={rule.alias} className="note">
          {ruleText(rule)}
        </p>
      ))}
    </Card>
  );
}

export function ruleText(rule: ApprovalRule): string {
  const whom = rule.approvers.length > 0 ? `of ${rule.approvers.join(", ")}` : "of those who may write";
  return `${rule.alias} moves when ${rule.needed} ${whom} ${rule.needed === 1 ? "agrees" : "agree"} within ${duration(rule.expires_s * 1000)}${rule.own ? "; who asks may vote" : ""}.`;
}

function Request({ request }: { request: AliasRequest }) {
  const [reason, setReason] = useState("");
  const look = LOOKS[request.status];
  const what = `${request.alias} from ${points(request.previous)} to ${points(request.version)}`;
  return (
    <li>
      <p className="request-what">
        <Pill tone={look.tone} icon={look.icon}>
          {request.status}
        </Pill>
        <b>{what}</b>
        <span className="note">
          asked by {request.actor} <Time ms={request.created_ms} />
          {request.status === "open" && `, until ${moment(request.expires_ms)}`}
        </span>
      </p>
      <p>{request.reason}</p>
      {request.votes.map((vote) => (
        <p key={vote.actor} className="note">
          {vote.actor} {vote.verdict === "approve" ? "agreed" : "refused"} <Time ms={vote.at_ms} />
          {vote.reason && `: ${vote.reason}`}
        </p>
      ))}
      {request.status === "open" && (
        <form className="request-vote" onSubmit={(event) => event.preventDefault()}>
          <span className="note">waits for {request.missing || "a vote"}</span>
          <input type="text" aria-label={`Reason for the vote on ${what}`} placeholder="reason" value={reason} onChange={(event) => setReason(event.target.value)} />
          <button type="button" className="ghost" onClick={() => void act("registry/approve", { id: request.id, reason }, "Agreed.")}>
            approve
          </button>
          <button type="button" className="ghost" disabled={reason.trim() === ""} title="A refusal needs a reason" onClick={() => void act("registry/reject", { id: request.id, reason }, "Refused.")}>
            reject
          </button>
        </form>
      )}
    </li>
  );
}
