// Who outside is told what happens: channels and MLflow's webhooks, what arrived, what was given up and can be sent again.
import { useState } from "react";
import type { Channel, Delivery } from "../../lib/records";
import { useVerb } from "../../lib/query";
import { plural } from "../../lib/format";
import { Card, Pill, Time } from "../../components/basics";
import { act } from "./act";

const LOOKS = {
  sent: { tone: "ok", icon: "check", word: "arrived" },
  waiting: { tone: "accent", icon: "clock", word: "waiting" },
  dead: { tone: "bad", icon: "cross", word: "given up" },
} as const;
const KINDS: Record<string, string> = { mlflow: "webhook of MLflow", webhook: "webhook", google_chat: "Google Chat", teams: "Teams", slack: "Slack", email: "e-mail" };
const LATEST = 200;
const SHOWN = 8;

export function Channels() {
  const channels = useVerb("notify/list_channels", {}).data;
  const deliveries = useVerb("notify/list_deliveries", channels === undefined || channels.length === 0 ? null : { limit: LATEST }).data ?? [];
  // Whoever may not read them, or has none, sees a complete page without.
  if (channels === undefined || channels.length === 0) return null;
  const dead = deliveries.filter((one) => one.status === "dead").length;
  return (
    <Card title="Who is told" className="channels" aside={dead > 0 ? `${plural(dead, "message")} given up` : "webhooks and channels"}>
      <ul>
        {channels.map((channel) => (
          <ChannelRow key={channel.name} channel={channel} deliveries={deliveries.filter((one) => one.channel === channel.name)} />
        ))}
      </ul>
    </Card>
  );
}

function ChannelRow({ channel, deliveries }: { channel: Channel; deliveries: readonly Delivery[] }) {
  // What was given up is shown without being asked for, until one closes it.
  const [asked, setOpen] = useState<boolean | null>(null);
  const open = asked ?? deliveries.some((one) => one.status === "dead");
  return (
    <li>
      <p className="request-what">
        <b>{channel.kind === "mlflow" ? channel.target : channel.name}</b>
        <span className="note">
          {KINDS[channel.kind] ?? channel.kind}
          {channel.kind !== "mlflow" && `, ${channel.target}`}: {channel.events.length > 0 ? channel.events.join(", ") : "everything"}
          {channel.models.length > 0 && `, of ${channel.models.join(", ")}`}
        </span>
        <span className="grow" />
        {deliveries.length > 0 ? (
          <button type="button" className="ghost" aria-expanded={open} onClick={() => setOpen(!open)}>
            {plural(deliveries.length, "message")}
          </button>
        ) : (
          <span className="note">nothing was sent yet</span>
        )}
      </p>
      {open &&
        deliveries.slice(0, SHOWN).map((one) => {
          const look = LOOKS[one.status];
          return (
            <p key={one.id} className="request-what delivery">
              <Pill tone={look.tone} icon={look.icon}>
                {look.word}
              </Pill>
              {one.title || one.event}
              <span className="note">
                <Time ms={one.created_ms} />
                {one.attempts > 1 && `, tried ${one.attempts} times`}
                {one.error && `: ${one.error}`}
              </span>
              {one.status !== "waiting" && (
                <button type="button" className="ghost" onClick={() => void act("notify/replay_delivery", { id: one.id }, "It is sent again.")}>
                  send again
                </button>
              )}
            </p>
          );
        })}
    </li>
  );
}
