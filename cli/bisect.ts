/** `apphub bisect`: the first event after which an answer was another one, found in as many looks back as halving takes. */
import type { One } from './api.ts';
import { clientAsOf, whenOf } from './as-of.ts';
import type { Client } from './client.ts';
import { Answered, exits, UsageError } from './exit.ts';
import { plain, relative } from './format.ts';
import type { Output } from './output.ts';
import { defineVerb, type Verb } from './verb.ts';

const valueCharsMax = 200;

/** As in `GET /past`. */
type Past = {
  reached: string | null;
  here: { position: string; at: string | null } | null;
};
/** As in `GET /events/:position/causes`. */
type Causes = { event: { type: string; stream: string; at: string; actor: string } };

type Question = {
  readonly field: readonly string[];
  readonly holds: ((value: unknown) => boolean) | undefined;
};

/** `status=failed`, `launch.running>2`, `meta.total.count`: a place in the answer, and what is asked of it. */
export function questionOf(text: string): Question {
  const [, field = '', sign, wanted = ''] = /^([^=!<>]+)(!=|>=|<=|=|>|<)?(.*)$/s.exec(text) ?? [];
  const names = field.trim().split('.');
  if (names.some(name => name === ''))
    throw new UsageError(`"${text}" asks nothing; write status=failed, launch.running>2, or build.commit`);
  if (sign === undefined) return { field: names, holds: undefined };
  const isEqual = (value: unknown) => value === wanted || JSON.stringify(value) === wanted;
  if (sign === '=') return { field: names, holds: isEqual };
  if (sign === '!=') return { field: names, holds: value => !isEqual(value) };
  const than = Number(wanted);
  if (wanted.trim() === '' || Number.isNaN(than))
    throw new UsageError(`"${wanted}" in "${text}" is no number`);
  const compare: Readonly<Record<string, (value: number) => boolean>> = {
    '>': value => value > than,
    '<': value => value < than,
    '>=': value => value >= than,
    '<=': value => value <= than,
  };
  return { field: names, holds: value => typeof value === 'number' && compare[sign]?.(value) === true };
}

/** What is at a place of an answer; of `data`, unless it begins otherwise. Undefined where there is nothing. */
export function valueAt(body: unknown, [first = '', ...rest]: readonly string[]): unknown {
  const names = ['data', 'meta'].includes(first) ? [first, ...rest] : ['data', first, ...rest];
  return names.reduce<unknown>((value, name) => {
    if (Array.isArray(value) && name === 'length') return value.length;
    return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
      ? (value as Record<string, unknown>)[name]
      : undefined;
  }, body);
}

/** The first of `from` + 1 … `to` of which `isSo` holds, where it holds of `to` and not of `from`. */
export async function firstOf(
  from: bigint,
  to: bigint,
  isSo: (position: bigint) => Promise<boolean>,
): Promise<bigint> {
  let [before, found] = [from, to];
  while (found - before > 1n) {
    const middle = (before + found) / 2n;
    if (await isSo(middle)) found = middle;
    else before = middle;
  }
  return found;
}

const show = defineVerb({
  summary: 'Find the first event after which an answer was another one',
  words: '<read> <question>',
  options: {
    from: { type: 'string', value: 'when', help: 'Where it was not so yet; default: before the first event' },
    to: { type: 'string', value: 'when', help: 'Where it is so; default: now' },
  },
  examples: [
    'apphub bisect apps/shop status=failed',
    'apphub bisect apps/shop build.commit --from 2d',
    'apphub bisect "apps?tags=team:web" "meta.total.count>10"',
  ],
  about:
    'A read is an address of the API, such as apps/<app>, launches/<launch> or apps?q=<words>. A question is a field of its\n' +
    'answer, alone (it became another one) or with =, !=, <, >, <= or >= and a value. Where it became so more than once, one\n' +
    'of these is found. What is not there has no value. Times are written as with --as-of.',
  run: async ({ words: [read = '', question = ''], options, client, out }) => {
    const { field, holds } = questionOf(question);
    const path = `/${read.replace(/^\//, '')}`;
    const reach = await reachOf(client, options);
    let looks = 0;
    const look = async (position: bigint) => {
      looks += 1;
      return valueAt(await answerOf(client, path, position), field);
    };
    const [first, last] = [await look(reach.from), await look(reach.to)];
    const isLike = (value: unknown) => JSON.stringify(value) === JSON.stringify(first);
    const isOther = (value: unknown) =>
      holds === undefined ? !isLike(value) : holds(value) !== holds(first);
    if (!isOther(last)) {
      out.error([`It is so at both ends: ${short(first)} at ${reach.from}, ${short(last)} at ${reach.to}.`]);
      return exits.failed;
    }
    const position = await firstOf(reach.from, reach.to, async at => isOther(await look(at)));
    const [before, since] = [await look(position - 1n), await look(position)];
    const event = await eventAt(client, position);
    if (out.json) out.document({ data: { position: `${position}`, before, since, event, looks } });
    else card(out, { position, before, since, event, field: field.join('.'), looks });
    return exits.ok;
  },
});

async function reachOf(client: Client, { from, to }: { from?: string | undefined; to?: string | undefined }) {
  const placeOf = async (text: string) => {
    const around = whenOf(text, Date.now());
    const { data } = await client.get<One<Past>>('/past', { around });
    const position = BigInt(data.here?.position ?? '0');
    return position < 0n ? 0n : position;
  };
  const end = async () => BigInt((await client.get<One<Past>>('/past')).data.reached ?? '0');
  const reach = {
    from: from === undefined ? 0n : await placeOf(from),
    to: to === undefined ? await end() : await placeOf(to),
  };
  if (reach.from >= reach.to) throw new UsageError('--from must be before --to');
  return reach;
}

/** Undefined where there was no such thing. */
async function answerOf(client: Client, path: string, position: bigint): Promise<unknown> {
  try {
    return await clientAsOf(client, `${position}`).get<unknown>(path);
  } catch (error) {
    if (error instanceof Answered && error.problem.code === 'not-found') return undefined;
    throw error;
  }
}

/** Undefined for whoever may not see it. */
async function eventAt(client: Client, position: bigint): Promise<Causes['event'] | undefined> {
  try {
    return (await client.get<One<Causes>>(`/events/${position}/causes`)).data.event;
  } catch (error) {
    if (error instanceof Answered) return undefined;
    throw error;
  }
}

type Found = {
  readonly position: bigint;
  readonly before: unknown;
  readonly since: unknown;
  readonly event: Causes['event'] | undefined;
  readonly field: string;
  readonly looks: number;
};

function card(out: Output, { position, before, since, event, field, looks }: Found): void {
  const what = event === undefined ? '' : `  ${event.type}  ${event.stream}  (${plain(event.actor)})`;
  const at = event === undefined ? '' : `  ${relative(event.at)}`;
  out.line(out.paint('bold', `${position}${at}${what}`));
  out.line(`  ${field}: ${short(before)} → ${short(since)}`);
  out.note(`Found in ${looks} looks. What led to it: apphub why events/${position}`);
}

function short(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = plain(typeof value === 'string' ? value : JSON.stringify(value));
  return text.length > valueCharsMax ? `${text.slice(0, valueCharsMax - 1)}…` : text;
}

export const verbs: Readonly<Record<string, Verb>> = { show };
