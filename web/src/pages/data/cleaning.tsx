import type { CleanReport } from "../../lib/records";
import { spell } from "../../lib/describe";
import { count, plural } from "../../lib/format";
import { Card } from "../../components/basics";

/** What cleaning changed on the way in; nothing is changed silently. */
export function Cleaning({ report }: { report: CleanReport | null }) {
  if (report === null) return null;
  const dropped = report.rows_in - report.rows_out;
  const changed = report.findings.filter((finding) => finding.rows > 0);
  const idle = report.findings.length - changed.length;
  return (
    <Card title="Cleaned on the way in" aside={dropped > 0 ? `${plural(dropped, "row")} dropped` : "no row dropped"}>
      <ul className="checks">
        {changed.map((finding, i) => (
          <li key={i}>
            <span className="note right">{count(finding.rows)}</span>
            <span>
              {spell(finding.check)} {finding.column && <span className="mono">{finding.column}</span>}
              <span className="note block">{finding.message}</span>
            </span>
          </li>
        ))}
      </ul>
      {idle > 0 && <p className="note">{plural(idle, "rule")} found nothing to change.</p>}
    </Card>
  );
}
