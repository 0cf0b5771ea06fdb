/** `apphub hosts`: host names of somebody's own that lead to apps. */
import type { Many } from './api.ts';
import { appPath, wrote } from './apps.ts';
import { exits } from './exit.ts';
import { relative } from './format.ts';
import { defineVerb, type Verb } from './verb.ts';

type HostName = { host: string; appId: string; launchId: string | null; url: string; claimedAt: string };

const rowsMax = 1_000;

const list = defineVerb({
  summary: 'List the host names that lead to an app',
  looksBack: true,
  words: '<app>',
  options: {},
  examples: ['apphub hosts list shop'],
  run: async ({ words: [app = ''], client, out }) => {
    const answer: Many<HostName> = await client.list<HostName>(appPath(app, 'hosts'), {}, rowsMax);
    if (out.json) out.document(answer);
    else if (answer.data.length === 0) out.note('No host name of its own leads to this app.');
    else {
      out.table(
        [{ title: 'HOST' }, { title: 'SHOWS' }, { title: 'SINCE' }],
        answer.data.map(({ host, launchId, claimedAt }) => [
          host,
          launchId ?? 'the newest',
          relative(claimedAt),
        ]),
      );
    }
    return exits.ok;
  },
});

const claim = defineVerb({
  summary: 'Let a host name lead to an app',
  words: '<app> <host>',
  options: {
    launch: { type: 'string', value: 'id', help: 'The only launch it shows; default: the newest that runs' },
  },
  examples: [
    'apphub hosts claim shop shop.example.org',
    'apphub hosts claim shop shop.example.org --launch 0199…',
  ],
  about: 'Point its DNS at the platform, too. A name belongs to whoever claims it first.',
  run: async ({ words: [app = '', host = ''], options, client, out }) => {
    const body = { launchId: options.launch ?? null };
    return wrote(out, client.write('PUT', appPath(app, 'hosts', host), body), `${host} leads to ${app}.`);
  },
});

const release = defineVerb({
  summary: 'Let a host name lead to an app no more',
  words: '<app> <host>',
  options: {},
  examples: ['apphub hosts release shop shop.example.org'],
  run: async ({ words: [app = '', host = ''], client, out }) =>
    wrote(out, client.write('DELETE', appPath(app, 'hosts', host)), `${host} leads to ${app} no more.`),
});

export const verbs: Readonly<Record<string, Verb>> = { list, claim, release };
