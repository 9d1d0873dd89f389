// The columns of a table; on request each with its distribution, which reads the whole table.
import { useState } from "react";
import type { ColumnProfile, Table } from "../../lib/records";
import { useVerb } from "../../lib/query";
import { count, percent, plural } from "../../lib/format";
import { Card, Trouble } from "../../components/basics";

export function Columns({ table }: { table: Table }) {
  const [asked, setAsked] = useState(false);
  const profile = useVerb("data/profile_table", asked ? { name: table.name } : null);
  const profiles = new Map((profile.data?.columns ?? []).map((column) => [column.name, column]));
  return (
    <Card
      title="Columns"
      aside={
        <>
          {plural(table.columns.length, "column")}
          <button type="button" className="link" onClick={() => setAsked(true)} disabled={asked}>
            {!asked ? "look inside" : profile.pending ? "reading the table …" : ""}
          </button>
        </>
      }
    >
      {profile.error && <Trouble error={profile.error} />}
      <dl className="facts-list">
        {table.columns.map((column) => {
          const inside = profiles.get(column.name);
          return (
            <div key={column.name}>
              <dt className="mono">
                {column.name}
                {table.key.includes(column.name) && <span className="alias"> key</span>}
              </dt>
              <dd className="note">
                {inside ? <Inside profile={inside} /> : `${column.type}${column.nullable ? "" : ", never null"}`}
              </dd>
            </div>
          );
        })}
      </dl>
    </Card>
  );
}

const BARS = { width: 96, height: 22 };

function Inside({ profile }: { profile: ColumnProfile }) {
  const counts = profile.histogram.length > 0 ? profile.histogram.map((b) => b.count) : profile.levels.map((l) => l.count);
  const most = Math.max(1, ...counts);
  const step = BARS.width / Math.max(1, counts.length);
  const range = profile.min === null || profile.max === null ? `${count(profile.distinct)} values` : `${profile.min} to ${profile.max}`;
  const missing = profile.nulls > 0 ? `, ${percent(profile.nulls / Math.max(1, profile.count))} missing` : "";
  return (
    <span className="inside">
      <span>
        {range}
        {missing}
      </span>
      <svg width={BARS.width} height={BARS.height} role="img" aria-label={`Distribution of ${profile.name}`}>
        {counts.map((n, i) => {
          const height = n === 0 ? 0 : Math.max(1, (n / most) * BARS.height);
          return <rect key={i} x={i * step} y={BARS.height - height} width={Math.max(1, step - 1)} height={height} />;
        })}
      </svg>
    </span>
  );
}
