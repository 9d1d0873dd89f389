// Ranking for the palette: letters in order, better when together and at the start of words.

/** How well `query` fits `text`; null when it does not. Higher is better; an empty query fits all alike. */
export function fuzzy(query: string, text: string): number | null {
  const wanted = query.toLowerCase().replace(/\s+/g, "");
  const given = text.toLowerCase();
  if (wanted === "") return 0;
  const whole = given.indexOf(wanted);
  if (whole >= 0) return 100 + (whole === 0 ? 50 : 0) + wordStart(given, whole) * 20 - given.length / 10;
  let score = 0;
  let at = -1;
  for (const letter of wanted) {
    const next = given.indexOf(letter, at + 1);
    if (next < 0) return null;
    score += (next === at + 1 ? 3 : 0) + wordStart(given, next) * 4 - Math.min(3, next - at - 1) / 4;
    at = next;
  }
  return score - given.length / 10;
}

function wordStart(text: string, at: number): number {
  return at === 0 || /[\s/_.-]/.test(text[at - 1] ?? "") ? 1 : 0;
}
