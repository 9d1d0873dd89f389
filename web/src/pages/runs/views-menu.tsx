// Kept views: the address under a name.
import { useState } from "react";
import { forgetView, saveView, useViews } from "../../lib/views";
import { Icon } from "../../components/icon";
import { Link } from "../../lib/router";

export function ViewsMenu() {
  const views = useViews();
  const [name, setName] = useState("");
  const save = (event: React.FormEvent) => {
    event.preventDefault();
    if (name.trim() === "") return;
    saveView(name.trim(), location.search.slice(1));
    setName("");
  };
  return (
    <details className="menu">
      <summary>
        <Icon name="pin" size={14} /> views
      </summary>
      <div className="menu-body">
        {views.length === 0 && <p className="note">A view keeps filter, order and columns under a name, in this browser.</p>}
        {views.map((view) => (
          <div key={view.name} className="menu-line">
            <Link to={`/runs${view.query ? `?${view.query}` : ""}`}>{view.name}</Link>
            <button type="button" className="extreme" aria-label={`Forget ${view.name}`} onClick={() => forgetView(view.name)}>
              <Icon name="cross" size={12} />
            </button>
          </div>
        ))}
        <form className="menu-line" onSubmit={save}>
          <input
            type="text"
            className="menu-search"
            aria-label="Name of the view"
            placeholder="Keep this view as…"
            value={name}
            maxLength={80}
            onChange={(event) => setName(event.target.value)}
          />
          <button type="submit" className="extreme" disabled={name.trim() === ""}>
            keep
          </button>
        </form>
      </div>
    </details>
  );
}
