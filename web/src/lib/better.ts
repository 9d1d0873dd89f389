/** Measures where less is better, recognised by name; no table hides the others. */
export function lessIsBetter(key: string): boolean {
  return /loss|error|mae|rmse|brier|latency|duration|seconds|_ms$|psi/.test(key);
}
