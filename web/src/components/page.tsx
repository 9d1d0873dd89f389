// The frame of a page: trail, title, and the time it speaks of.
import { useEffect, type ReactNode } from "react";
import { moment } from "../lib/format";
import { Link, path } from "../lib/router";

interface PageProps {
  title: string;
  /** Where one is: the names of the pages above and this one. */
  trail: readonly string[];
  badge?: ReactNode;
  /** The time the figures speak of, when it is not simply now. */
  at?: number;
  children: ReactNode;
}

export function Page({ title, trail, badge, at, children }: PageProps) {
  const [section = "Loop"] = trail;
  useEffect(() => {
    document.title = title === section ? `${title} · Homeostat` : `${title} · ${section} · Homeostat`;
  }, [title, section]);
  return (
    <>
      <nav className="trail" aria-label="Where you are">
        {trail.length > 1 ? <Link to={path(section.toLowerCase())}>{section}</Link> : <b>{section}</b>}
        {trail.slice(1).map((name) => (
          <span key={name}>
            <span className="slash">/</span> <b>{name}</b>
          </span>
        ))}
        {at !== undefined && <span className="trail-time">{moment(at)} UTC</span>}
      </nav>
      <div className="title">
        <h1>{title}</h1>
        {badge}
      </div>
      {children}
    </>
  );
}
