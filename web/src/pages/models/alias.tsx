/** A name that points to a version: champion → v4. */
export function Alias({ name, version }: { name: string; version?: number }) {
  return (
    <span className={`alias ${name === "champion" ? "strong" : ""}`}>
      {name}
      {version !== undefined && <b> v{version}</b>}
    </span>
  );
}
