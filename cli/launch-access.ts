/** `apphub launches open|share|revoke-links`: letting oneself and others in to running previews. */
import type { Launch, One } from './api.ts';
import { wrote } from './apps.ts';
import { openInBrowser } from './browser.ts';
import { exits } from './exit.ts';
import { plain, relative } from './format.ts';
import { defineVerb, secondsOf } from './verb.ts';

const overStatuses = ['stopping', 'stopped', 'expired', 'failed'];

type Granted = { data: { url: string; expiresAt: string | null } };
type Shared = { data: { id: string; position: string | null; url: string; expiresAt: string } };

const pathOf = (id: string, what?: string) =>
  `/launches/${encodeURIComponent(id)}${what === undefined ? '' : `/${what}`}`;

export const open = defineVerb({
  summary: 'Open a launch in the browser',
  words: '<launch>',
  options: {
    print: { type: 'boolean', help: 'Print the address only' },
    path: { type: 'string', value: 'path', help: 'Where in the app to; default: /' },
  },
  examples: ['apphub launches open 0199…', 'curl "$(apphub launches open --print 0199…)"'],
  about: 'The address lets its visitor in for a quarter of an hour. To pass it on, use share.',
  run: async ({ words: [id = ''], options, client, out }) => {
    const { data: launch } = await client.get<One<Launch>>(pathOf(id));
    if (overStatuses.includes(launch.status)) throw new Error(`Launch ${id} is ${launch.status}`);
    const body = options.path === undefined ? undefined : { path: options.path };
    const answer = await client.write<Granted>('POST', pathOf(id, 'grants'), body, null);
    if (out.json) out.document(answer);
    else out.line(plain(answer.data.url));
    if (!options.print && !out.json && out.terminal) await openInBrowser(answer.data.url);
    return exits.ok;
  },
});

export const share = defineVerb({
  summary: 'Make a link that lets whoever has it in',
  words: '<launch>',
  options: {
    ttl: { type: 'string', value: 'time', help: 'Good for 10m, 2h or 7d; default a day, at most 30d' },
    'idempotency-key': { type: 'string', value: 'key', help: 'The same key again is the same link again' },
  },
  examples: ['apphub launches share 0199…', 'apphub launches share 0199… --ttl 2h'],
  about: 'Whoever has the link is let in, without signing in, until it expires or revoke-links ends it.',
  run: async ({ words: [id = ''], options, client, out }) => {
    const body = options.ttl === undefined ? undefined : { ttlSeconds: secondsOf('ttl', options.ttl) };
    const key = options['idempotency-key'];
    const answer = await client.write<Shared>('POST', pathOf(id, 'links'), body, key);
    if (out.json) out.document(answer);
    else {
      out.line(plain(answer.data.url));
      out.note(`It is good until ${answer.data.expiresAt} (${relative(answer.data.expiresAt)}).`);
    }
    return exits.ok;
  },
});

export const revokeLinks = defineVerb({
  summary: 'End every link to a launch, and whatever anybody was let in with, at once',
  words: '<launch>',
  options: {},
  examples: ['apphub launches revoke-links 0199…'],
  run: async ({ words: [id = ''], client, out }) =>
    wrote(out, client.write('DELETE', pathOf(id, 'links')), `No link to launch ${id} is good any more.`),
});
