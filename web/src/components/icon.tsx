// Icons drawn on a 16-pixel grid with one stroke, so that state never hangs on colour alone.
const PATHS = {
  loop: "M13.2 8a5.2 5.2 0 1 1-2.3-4.3M13.2 2.2v3h-3",
  data: "M2.8 4c0-1.1 2.3-2 5.2-2s5.2.9 5.2 2-2.3 2-5.2 2-5.2-.9-5.2-2Zm0 0v8c0 1.1 2.3 2 5.2 2s5.2-.9 5.2-2V4M2.8 8c0 1.1 2.3 2 5.2 2s5.2-.9 5.2-2",
  runs: "M2 12.5 5.5 8l3 2.5L14 3.5M2 14.2h12",
  models: "M8 1.8 13.6 5v6L8 14.2 2.4 11V5L8 1.8ZM2.6 5 8 8.2 13.4 5M8 8.2v6",
  check: "M3.5 8.5 6.5 11.5 12.5 4.5",
  cross: "M4 4l8 8M12 4l-8 8",
  dash: "M4 8h8",
  turn: "M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3",
  back: "M3 8a5 5 0 1 0 1.6-3.7M3 2v3h3",
  warn: "M8 2.2 14.4 13.4H1.6L8 2.2ZM8 6.4v3.2M8 11.4v.2",
  tray: "M2.5 9.5h3l1 2h3l1-2h3M2.5 9.5v4h11v-4M8 2v5M5.8 5 8 7.2 10.2 5",
  wrench: "M9.6 6.4a3.2 3.2 0 0 1 4-4.1L11.5 4.4l.4 1.3 1.3.4 2.1-2.1a3.2 3.2 0 0 1-4.1 4L5.4 13.8a1.6 1.6 0 0 1-2.3-2.3L9.6 6.4Z",
  split: "M2 8h4l3-4h5M6 8l3 4h5M12 2l2 2-2 2M12 10l2 2-2 2",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9ZM10.3 10.3 14 14",
  sun: "M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6ZM8 1.2v1.6M8 13.2v1.6M1.2 8h1.6M13.2 8h1.6M3.2 3.2l1.1 1.1M11.7 11.7l1.1 1.1M12.8 3.2l-1.1 1.1M4.3 11.7l-1.1 1.1",
  moon: "M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1Z",
  screen: "M2 3h12v8H2zM6 14h4M8 11v3",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  down: "M4 6l4 4 4-4",
  right: "M6 4l4 4-4 4",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 4.8V8l2.2 1.6",
  dot: "M8 10.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Z",
  ring: "M8 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8Z",
  question: "M5.8 6a2.2 2.2 0 1 1 3.2 2c-.7.4-1 .8-1 1.6M8 12v.2",
  columns: "M2.5 3h11v10h-11zM6.2 3v10M9.8 3v10",
  pin: "M4.5 2.5h7v11L8 10.8l-3.5 2.7z",
  up: "M8 13V3.5M4 7.2 8 3.2l4 4",
  link: "M6 3H3v10h10v-3M9 2.5h4.5V7M13.2 2.8 7.5 8.5",
} as const;

export type IconName = keyof typeof PATHS;

/** A decorative icon; give `label` when it stands without a word. */
export function Icon({ name, size = 16, label }: { name: IconName; size?: number; label?: string }) {
  return (
    <svg
      className="icon"
      width={size}
      height={size}
      viewBox="0 0 16 16"
      role={label ? "img" : undefined}
      aria-label={label}
      aria-hidden={label ? undefined : true}
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The same drawing inside another SVG, centred on a point. */
export function Glyph({ name, x, y, size = 12 }: { name: IconName; x: number; y: number; size?: number }) {
  const scale = size / 16;
  return <path className="glyph" d={PATHS[name]} transform={`translate(${x - size / 2} ${y - size / 2}) scale(${scale})`} />;
}
