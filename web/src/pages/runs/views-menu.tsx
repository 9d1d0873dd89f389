// Kept views: the address under a name, for everybody of the workspace.
import { useMemo, useState } from "react";
import { ApiError, post } from "../../lib/api";
import { useCommands } from "../../lib/commands";
import { arrived, invalidate, useVerb } from "../../lib/query";
import { Icon } from "../../components/icon";
import { Link, navigate } from "../../lib/router";
import { tell } from "../../components/toast";

const to = (query: string) => `/runs${query ? `?${query}` : ""}`;

async function change(act: Promise<unknown>, said: string, undo: (() => void) | null = null): Promise<void> {
  try {
    await act;
    invalidate(["tracking/list_views"]);
    await arrived(["tracking/list_views"]);
    tell(said, undo);
  } catch (error) {
    tell(error instanceof ApiError ? `${error.message} ${error.hint}` : String(error));
  }
}

export function ViewsMenu() {
  const views = useVerb("tracking/list_views", {}).data;
  const [name, setName] = useState("");
  useCommands(useMemo(() => (views ?? []).map((view) => ({ label: `View: ${view.name}`, run: () => navigate(to(view.query)) })), [views]));
  const save = (event: React.FormEvent) => {
    event.preventDefault();
    if (name.trim() === "") return;
    void change(post("tracking/save_view", { name: name.trim(), query: location.search.slice(1) }), `This view is kept as “${name.trim()}”.`);
    setName("");
  };
  const forget = (view: { name: string; query: string }) =>
    void change(post("tracking/delete_view", { name: view.name }), `The view “${view.name}” is forgotten.`, () => void change(post("tracking/save_view", view), `“${view.name}” is back.`));
  return (
    <details className="menu">
      <summary>
        <Icon name="pin" size={14} /> views
      </summary>
      <div className="menu-body">
        {views?.length === 0 && <p className="note">A view keeps filter, order, columns and charts under a name, for everybody.</p>}
        {views?.map((view) => (
          <div key={view.name} className="menu-line">
            <Link to={to(view.query)} title={`kept by ${view.owner}`}>
              {view.name}
            </Link>
            <button type="button" className="extreme" aria-label={`Forget ${view.name}`} onClick={() => forget(view)}>
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
