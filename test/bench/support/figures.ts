/** Figures as every benchmark prints them: a ratio to a baseline of the same run first, absolute values for context. */

/** The value below which this part of the samples lies. Sorts a copy. */
export function quantile(samples: readonly number[], part: number): number {
  const sorted = Float64Array.from(samples).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
}

export const inMs = (ms: number) => (ms < 10 ? `${ms.toFixed(2)} ms` : `${ms.toFixed(1)} ms`);
export const perSecond = (count: number, ms: number) =>
  `${Math.round((count * 1_000) / ms).toLocaleString('en')} a second`;
export const times = (a: number, b: number) => `${(a / b).toFixed(2)} x`;
export const percent = (a: number, b: number) => `${((100 * a) / b).toFixed(0)} %`;

/** Milliseconds that this took. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}

/** Rows under each other, first column to the left, the others to the right. */
export function printTable(rows: readonly (readonly (string | number)[])[]): void {
  const widths = rows.reduce<number[]>(
    (most, row) => row.map((cell, at) => Math.max(most[at] ?? 0, String(cell).length)),
    [],
  );
  for (const row of rows) {
    const cells = row.map((cell, at) =>
      at === 0 ? String(cell).padEnd(widths[at] ?? 0) : String(cell).padStart(widths[at] ?? 0),
    );
    console.log(`  ${cells.join('  ')}`.trimEnd());
  }
}

/** A goal, and whether this run met it. */
export function printGoal(met: boolean, goal: string): void {
  console.log(`  ${met ? 'met   ' : 'MISSED'}  ${goal}`);
}
