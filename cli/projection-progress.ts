/** Tables that are being filled, said live: a line each that is written over on a terminal, and a line now and then elsewhere. */
import { exits } from './exit.ts';
import { plain, relative } from './format.ts';
import type { Output } from './output.ts';
import { count } from './say.ts';

const lineMsMin = 2_000;

type Beside = {
  generation: number;
  version: number;
  role: string;
  problem: string | null;
  events: number | null;
  eventsTotal: number | null;
  eventsPerSecond: number | null;
  secondsLeft: number | null;
};

/** As in `GET /projections`. */
export type Projection = {
  name: string;
  version: number;
  generation: number;
  events: number | null;
  beside: Beside[];
  audit: {
    state: string;
    rows: number;
    wrongRows: number;
    checkedAt: string | null;
    repairWanted: boolean;
    repairProblem: string | null;
  } | null;
};

const grouped = (value: number) => value.toLocaleString('en');

/** `42 %, 1,200 of 2,900 events, 18,000 a second, 3 s left` */
function filledWords({ events, eventsTotal, eventsPerSecond, secondsLeft }: Beside): string {
  const parts: string[] = [];
  if (events !== null && eventsTotal !== null && eventsTotal > 0)
    parts.push(`${Math.min(100, Math.floor((100 * events) / eventsTotal))} %`);
  if (events !== null)
    parts.push(`${grouped(events)}${eventsTotal === null ? '' : ` of ${grouped(eventsTotal)}`} events`);
  if (eventsPerSecond !== null) parts.push(`${grouped(eventsPerSecond)} a second`);
  if (secondsLeft !== null) parts.push(`${secondsLeft} s left`);
  return parts.join(', ');
}

export function besideWords(beside: Beside): string {
  if (beside.problem !== null) return `${beside.generation} not shown: ${plain(beside.problem)}`;
  return beside.role === 'next'
    ? `${beside.generation} filled: ${filledWords(beside)}`
    : `${beside.generation} ${beside.role}`;
}

export function auditWords({ audit }: Projection): string {
  if (audit === null) return 'off';
  if (audit.wrongRows > 0) return `${count(audit.wrongRows, 'row')} wrong`;
  if (audit.checkedAt === null) return 'beginning';
  return `sound ${relative(audit.checkedAt)}, ${count(audit.rows, 'row')}`;
}

type Outcome = 'filling' | 'shown' | 'failed';

export type Progress = {
  /** Answers whether nothing is under way any more. */
  show(now: readonly Projection[]): boolean;
  /** Says how it ended. Answers the exit code. */
  end(): number;
};

export function openProgress(out: Output, before: readonly Projection[], names: readonly string[]): Progress {
  const width = Math.max(...names.map(name => name.length));
  const generationOf = new Map(before.map(({ name, generation }) => [name, generation]));
  const known = new Map(before.map(({ name, beside }) => [name, beside.map(({ generation }) => generation)]));
  const said = new Map<string, string>();
  let drawn = 0;
  let lastMs = Number.NEGATIVE_INFINITY;
  let outcomes = new Map<string, Outcome>();

  const stateOf = (one: Projection): { outcome: Outcome; words: string } => {
    const filled = one.beside.find(({ role, problem }) => role === 'next' && problem === null);
    if (filled !== undefined) return { outcome: 'filling', words: filledWords(filled) };
    if (one.generation !== generationOf.get(one.name))
      return { outcome: 'shown', words: `shown, generation ${one.generation}` };
    const refused = one.beside.find(
      ({ generation, problem }) => problem !== null && !known.get(one.name)?.includes(generation),
    );
    const why = refused?.problem ?? 'something else took its place';
    return { outcome: 'failed', words: `not shown: ${plain(why)}` };
  };

  const redraw = (lines: readonly string[]) => {
    if (drawn > 0) void out.write(`\u001b[${drawn}A`);
    for (const line of lines) void out.write(`\u001b[2K${line.slice(0, out.columns - 1)}\n`);
    drawn = lines.length;
  };

  return {
    show(now) {
      const shown = now
        .filter(({ name }) => names.includes(name))
        .map(one => ({ name: one.name, ...stateOf(one) }));
      outcomes = new Map(shown.map(({ name, outcome }) => [name, outcome]));
      const line = ({ name, words }: { name: string; words: string }) => `${name.padEnd(width)}  ${words}`;
      const isOver = shown.every(({ outcome }) => outcome !== 'filling');
      const isDue = performance.now() - lastMs >= lineMsMin;
      if (out.json) for (const one of shown) out.record(one);
      else if (out.terminal) redraw(shown.map(line));
      else {
        // Once for each change of state, and now and then while it goes on.
        for (const one of shown) {
          if (said.get(one.name) === one.outcome && !(isDue && one.outcome === 'filling')) continue;
          said.set(one.name, one.outcome);
          out.line(line(one));
        }
      }
      if (isDue) lastMs = performance.now();
      return isOver;
    },
    end() {
      const failed = [...outcomes.values()].filter(outcome => outcome === 'failed').length;
      if (!out.json && outcomes.size > 1)
        out.line(
          `${count(outcomes.size - failed, 'projection')} shown${failed === 0 ? '' : `, ${failed} not`}.`,
        );
      return failed === 0 ? exits.ok : exits.failed;
    },
  };
}
