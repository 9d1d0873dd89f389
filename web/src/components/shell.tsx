// Navigation, theme, palette and keys around every page.
import { lazy, Suspense, useMemo, useState, type ReactNode } from "react";
import { cycleTheme, useTheme } from "../lib/theme";
import { useKeys } from "../lib/keys";
import { useLink } from "../lib/live";
import { Link, navigate, usePath } from "../lib/router";
import { useVerb } from "../lib/query";
import { Icon, type IconName } from "./icon";
import { Toasts } from "./toast";

const Palette = lazy(() => import("./palette"));
const Shortcuts = lazy(() => import("./shortcuts"));

interface Place {
  to: string;
  label: string;
  icon: IconName;
}
const GROUPS: { name: string | null; places: Place[] }[] = [
  { name: null, places: [{ to: "/loop", label: "Loop", icon: "loop" }] },
  {
    name: "Learn",
    places: [
      { to: "/data", label: "Data", icon: "data" },
      { to: "/runs", label: "Runs", icon: "runs" },
      { to: "/models", label: "Models", icon: "models" },
    ],
  },
  { name: "Live", places: [{ to: "/deployments", label: "Deployments", icon: "split" }] },
];
const THEME_ICONS = { system: "screen", light: "sun", dark: "moon" } as const;

export function Shell({ children }: { children: ReactNode }) {
  const [over, setOver] = useState<"palette" | "shortcuts" | null>(null);
  const keymap = useMemo(
    () => ({
      "mod+k": (event: KeyboardEvent) => {
        event.preventDefault();
        setOver((now) => (now === "palette" ? null : "palette"));
      },
      "?": () => setOver("shortcuts"),
      "/": (event: KeyboardEvent) => {
        const box = document.querySelector<HTMLInputElement>("input[type=search]");
        if (box === null) return;
        event.preventDefault();
        box.focus();
      },
      t: () => cycleTheme(),
      "g l": () => navigate("/loop"),
      "g r": () => navigate("/runs"),
      "g m": () => navigate("/models"),
      "g d": () => navigate("/data"),
      "g e": () => navigate("/deployments"),
    }),
    [],
  );
  useKeys(keymap);
  return (
    <div className="app">
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <Sidebar onPalette={() => setOver("palette")} onShortcuts={() => setOver("shortcuts")} />
      <main id="main" tabIndex={-1}>
        {children}
      </main>
      <Toasts />
      <Suspense fallback={null}>
        {over === "palette" && <Palette onClose={() => setOver(null)} />}
        {over === "shortcuts" && <Shortcuts onClose={() => setOver(null)} />}
      </Suspense>
    </div>
  );
}

function Sidebar({ onPalette, onShortcuts }: { onPalette: () => void; onShortcuts: () => void }) {
  const [section = "loop"] = usePath();
  const loops = useVerb("loop/list_models", {});
  const worried = (loops.data ?? []).filter((l) => l.state === "out" || l.state === "at_risk").length;
  return (
    <div className="side">
      <div className="side-inner">
      <Link to="/loop" className="brand">
        <Mark />
        Homeostat
      </Link>
      <button type="button" className="find" onClick={onPalette} aria-label="Find a page, model, table or run">
        <Icon name="search" size={14} />
        <span>Find</span>
        <kbd>{/Mac|iP/.test(navigator.platform) ? "⌘K" : "Ctrl K"}</kbd>
      </button>
      <nav className="places" aria-label="Pages">
        {GROUPS.map((group) => (
          <div key={group.name ?? "first"} className="group">
            {group.name && <span className="group-name">{group.name}</span>}
            {group.places.map((place) => (
              <Link key={place.to} to={place.to} aria-current={place.to === `/${section}` ? "page" : undefined}>
                <Icon name={place.icon} />
                <span>{place.label}</span>
                {place.to === "/loop" && worried > 0 && <i title={`${worried} need a look`}>{worried}</i>}
              </Link>
            ))}
          </div>
        ))}
      </nav>
      <div className="side-foot">
        <LinkState />
        <ThemeButton />
        <button type="button" className="ghost" onClick={onShortcuts} aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)">
          <Icon name="question" />
        </button>
      </div>
      </div>
    </div>
  );
}

function Mark() {
  return (
    <svg className="brand-mark" width={20} height={20} viewBox="0 0 20 20" aria-hidden>
      <circle cx={10} cy={10} r={7.5} strokeDasharray="37 12" transform="rotate(-60 10 10)" />
      <circle className="pip" cx={10} cy={10} r={2.3} />
    </svg>
  );
}

function LinkState() {
  const link = useLink();
  const words = { connecting: "connecting", live: "live", lost: "not connected" };
  return (
    <span className={`link-state ${link}`} role="status">
      <Icon name={link === "live" ? "dot" : link === "lost" ? "cross" : "ring"} size={14} />
      {words[link]}
    </span>
  );
}

function ThemeButton() {
  const theme = useTheme();
  return (
    <button type="button" className="ghost" onClick={cycleTheme} aria-label={`Theme: ${theme}. Change`} title={`Theme: ${theme} (t)`}>
      <Icon name={THEME_ICONS[theme]} />
    </button>
  );
}
