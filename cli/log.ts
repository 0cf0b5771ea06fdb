/** `apphub log`: the event log itself, live or from anywhere in it. */
import type { LogEvent } from './api.ts';
import { showHistory } from './apps.ts';
import type { Client } from './client.ts';
import { exits, UsageError } from './exit.ts';
import { plain } from './format.ts';
import { backup, restore, verify } from './log-files.ts';
import { serve } from './log-serve.ts';
import type { Output } from './output.ts';
import { clock, sayEvent } from './say.ts';
import { openStream } from './stream.ts';
import { defineVerb, type Options, type Verb, wholeNumber } from './verb.ts';

const eventsMax = 1_000_000;

const chosen = {
  types: { type: 'string', value: 'patterns', help: 'Only these types, with commas: Build*,LaunchFailed' },
  streams: {
    type: 'string',
    value: 'prefixes',
    help: 'Only streams that begin so, with commas: apps.build-',
  },
} as const satisfies Options;

const tail = defineVerb({
  summary: 'Print events as they happen',
  words: '',
  options: {
    ...chosen,
    from: {
      type: 'string',
      value: 'position',
      help: 'Begin behind this position, or at `start`; default: now',
    },
    limit: { type: 'string', short: 'n', value: 'count', help: 'End after so many events' },
  },
  examples: [
    'apphub log tail --types "Build*,Launch*"',
    'apphub log tail --from start --streams apps.repository- --json',
  ],
  about: 'A connection that breaks is opened again behind the last event: none is lost, none comes twice.',
  run: async ({ options, client, out, signal }) => {
    const countMax =
      options.limit === undefined ? Infinity : wholeNumber('limit', options.limit, 1, eventsMax);
    await printEvents(client, out, { ...askOf(options), countMax, live: true }, signal);
    if (signal.aborted) throw signal.reason;
    return exits.ok;
  },
});

const show = defineVerb({
  summary: 'Print what is in the log: of one app, or from a position on',
  words: '[<app>]',
  options: {
    ...chosen,
    from: { type: 'string', value: 'position', help: 'Begin behind this position, or at `start`' },
    limit: { type: 'string', short: 'n', default: '50', value: 'count', help: 'At most so many; default 50' },
  },
  examples: ['apphub log show shop', 'apphub log show --from start --types "Ingestion*" -n 100'],
  about: 'An app shows its newest events first; from a position they come in the order of the log.',
  run: async ({ words: [app], options, client, out, signal }) => {
    const countMax = wholeNumber('limit', options.limit ?? '50', 1, eventsMax);
    if (app !== undefined) {
      const other = (['types', 'streams', 'from'] as const).find(name => options[name] !== undefined);
      if (other !== undefined) throw new UsageError(`--${other} does not go with the history of one app`);
      await showHistory(client, out, app, countMax);
      return exits.ok;
    }
    const from = options.from ?? 'start';
    await printEvents(client, out, { ...askOf({ ...options, from }), countMax, live: false }, signal);
    if (signal.aborted) throw signal.reason;
    return exits.ok;
  },
});

export const verbs: Readonly<Record<string, Verb>> = { tail, show, serve, verify, backup, restore };

type Chosen = { types?: string | undefined; streams?: string | undefined; from?: string | undefined };
type Printed = ReturnType<typeof askOf> & { countMax: number; live: boolean };

function askOf({ types, streams, from }: Chosen) {
  if (from !== undefined && from !== 'start' && !/^\d{1,20}$/.test(from)) {
    throw new UsageError(`--from is "${from}"; it must be a position, or start`);
  }
  return { types: listOf(types), streams: listOf(streams), from };
}

function listOf(text = ''): string[] {
  return text
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '');
}

async function printEvents(client: Client, out: Output, asked: Printed, signal: AbortSignal): Promise<void> {
  let printed = 0;
  for await (const frame of openStream(client, asked, signal)) {
    if (frame.kind === 'caughtUp' && !asked.live) return;
    if (frame.kind !== 'event') continue;
    await out.write(out.json ? `${JSON.stringify(frame.event)}\n` : `${eventLine(out, frame.event)}\n`);
    if (++printed >= asked.countMax) return;
  }
}

/** `      1234  14:03:12  BuildFailed  apps.build-0199…  what happened  (actor)` */
function eventLine(out: Output, event: LogEvent): string {
  const { position, at, type, stream, actor } = event;
  const bad = type.endsWith('Failed') ? out.paint('red', type) : out.paint('cyan', type);
  return [
    out.paint('dim', position.padStart(10)),
    out.paint('dim', clock(at)),
    bad,
    out.paint('dim', plain(stream)),
    sayEvent(event),
    out.paint('dim', `(${plain(actor)})`),
  ].join('  ');
}
