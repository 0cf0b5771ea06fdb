/** `apphub secrets`: what builds of an app may mount and nobody may read. */
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import type { BuildSecret, One } from './api.ts';
import { appPath, wrote } from './apps.ts';
import { exits, UsageError } from './exit.ts';
import { relative } from './format.ts';
import { defineVerb, type Verb } from './verb.ts';

const secretPath = (app: string, ...name: readonly string[]) => appPath(app, 'build-secrets', ...name);

const list = defineVerb({
  summary: 'List the names of an app’s build secrets',
  looksBack: true,
  words: '<app>',
  options: {},
  examples: ['apphub secrets list shop'],
  run: async ({ words: [app = ''], client, out }) => {
    const answer = await client.get<One<BuildSecret[]>>(secretPath(app));
    if (out.json) out.document(answer);
    else if (answer.data.length === 0) out.note(`${app} has no build secrets.`);
    else {
      out.table(
        [
          { title: 'SECRET', shrinks: true },
          { title: 'VERSION', right: true },
          { title: 'SET' },
          { title: 'BY', shrinks: true },
          { title: 'GIVEN' },
        ],
        answer.data.map(secret => [
          secret.name,
          String(secret.version),
          relative(secret.setAt),
          secret.setBy,
          secret.isGiven ? 'yes' : 'no, it was set for another source',
        ]),
      );
    }
    return exits.ok;
  },
});

const set = defineVerb({
  summary: 'Set a build secret to what comes on standard input',
  words: '<app> <name>',
  options: { file: { type: 'string', value: 'path', help: 'Take what is in this file instead' } },
  examples: [
    'apphub secrets set shop npmrc --file ~/.npmrc',
    'pass show shop/token | apphub secrets set shop token',
  ],
  about:
    'A Dockerfile mounts it: RUN --mount=type=secret,id=<name>. It is in no layer, log or event, and is given to builds of ' +
    'the source that the app has now. One line end at its end is left off.',
  run: async ({ words: [app = '', name = ''], options, client, out }) => {
    if (options.file === undefined && process.stdin.isTTY) {
      throw new UsageError('Nothing comes on standard input; pipe the value in, or name a --file');
    }
    const given =
      options.file === undefined ? await text(process.stdin) : await readFile(options.file, 'utf8');
    const value = given.replace(/\r?\n$/, '');
    const written = client.write('PUT', secretPath(app, name), { value }, null);
    return wrote(out, written, `Set build secret ${name} of ${app}.`);
  },
});

const remove = defineVerb({
  summary: 'Remove a build secret and erase its value',
  words: '<app> <name>',
  options: {},
  examples: ['apphub secrets remove shop token'],
  run: ({ words: [app = '', name = ''], client, out }) =>
    wrote(out, client.write('DELETE', secretPath(app, name)), `Removed build secret ${name} of ${app}.`),
});

export const verbs: Readonly<Record<string, Verb>> = { list, set, remove };
