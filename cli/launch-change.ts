/** `apphub launches redeploy|rollback|sleep|wake|extend|deployments`: what is asked of a launch while it lives. */
import type { Deployment, Launch, Many, One } from './api.ts';
import { wrote } from './apps.ts';
import { exits } from './exit.ts';
import { deploymentRows } from './launch-view.ts';
import { launchPath, type WatchedLaunch, watchLaunch } from './launch-watch.ts';
import { defineVerb, type Given, type Options, secondsOf } from './verb.ts';

const watched = (help: string) =>
  ({ watch: { type: 'boolean', short: 'w', help } }) as const satisfies Options;
const keyed = {
  'idempotency-key': { type: 'string', value: 'key', help: 'The same key again changes nothing again' },
} as const satisfies Options;
const another = {
  ...watched('Wait until the new one serves; fails when it does not come up, and the old one serves on'),
  ...keyed,
} as const satisfies Options;

type Ask = {
  readonly verb: 'redeploy' | 'rollback' | 'sleep' | 'wake' | 'extend';
  readonly body?: object | undefined;
  readonly said: string;
  readonly until: WatchedLaunch['until'] | 'newest';
};

/** Asks it of the launch, and says so or waits for it. */
async function ask(
  { words: [id = ''], options, client, out, signal }: Given<typeof keyed & ReturnType<typeof watched>>,
  { verb, body, said, until }: Ask,
): Promise<number> {
  const written = await client.write('POST', launchPath(id, verb), body, options['idempotency-key']);
  if (options.watch !== true) return wrote(out, Promise.resolve(written), said);
  const from = written.data.position;
  if (until !== 'newest') return watchLaunch(client, out, { id, from, until }, signal);
  const { data } = await client.get<One<Launch>>(launchPath(id), { after: from });
  // What runs already needs no waking.
  const isAwake = verb === 'wake' && data.serving !== null;
  return watchLaunch(client, out, { id, from, until: isAwake ? 'running' : data.deployment }, signal);
}

export const redeploy = defineVerb({
  summary: 'Run another build behind the same address, without a visitor noticing',
  words: '<launch>',
  options: {
    build: { type: 'string', value: 'id', help: 'The build to run; default: the released one' },
    ...another,
  },
  examples: ['apphub launches redeploy 0199… --watch', 'apphub launches redeploy 0199… --build 0198…'],
  about: 'The old one serves until the new one is well; where that does not come up, it goes on serving.',
  run: given => {
    const { build } = given.options;
    const said = `Redeploying launch ${given.words[0]}. Follow it with: apphub launches deployments ${given.words[0]}`;
    const body = build === undefined ? undefined : { buildId: build };
    return ask(given, { verb: 'redeploy', body, said, until: 'newest' });
  },
});

export const rollback = defineVerb({
  summary: 'Go back to an earlier build',
  words: '<launch>',
  options: {
    build: { type: 'string', value: 'id', help: 'The build to go back to; default: the one that ran before' },
    ...another,
  },
  examples: ['apphub launches rollback 0199… --watch', 'apphub launches rollback 0199… --build 0198…'],
  about: 'Which builds there are to go back to is shown by `apphub launches deployments`.',
  run: given => {
    const { build } = given.options;
    const body = build === undefined ? undefined : { buildId: build };
    const said = `Rolling launch ${given.words[0]} back.`;
    return ask(given, { verb: 'rollback', body, said, until: 'newest' });
  },
});

export const sleep = defineVerb({
  summary: 'Take a launch its container until somebody visits',
  words: '<launch>',
  options: { ...watched('Wait until it sleeps'), ...keyed },
  examples: ['apphub launches sleep 0199…'],
  run: given =>
    ask(given, { verb: 'sleep', said: `Launch ${given.words[0]} goes to sleep.`, until: 'asleep' }),
});

export const wake = defineVerb({
  summary: 'Start a launch that sleeps, as a visit would',
  words: '<launch>',
  options: { ...watched('Wait until it runs and print its address'), ...keyed },
  examples: ['apphub launches wake 0199… --watch'],
  run: given => ask(given, { verb: 'wake', said: `Waking launch ${given.words[0]}.`, until: 'newest' }),
});

export const extend = defineVerb({
  summary: 'Let a launch run for longer, counted from now',
  words: '<launch>',
  options: {
    ttl: { type: 'string', value: 'time', help: 'Stop it after 90, 10m, 2h or 7d from now; default an hour' },
    ...keyed,
  },
  examples: ['apphub launches extend 0199… --ttl 2h'],
  run: async ({ words: [id = ''], options, client, out }) => {
    const { ttl } = options;
    const body = ttl === undefined ? undefined : { ttlSeconds: secondsOf('ttl', ttl) };
    const sent = client.write('POST', launchPath(id, 'extend'), body, options['idempotency-key']);
    return wrote(out, sent, `Launch ${id} runs for ${ttl ?? '1h'} from now on.`);
  },
});

export const deployments = defineVerb({
  summary: 'List the containers a launch has had: why each was, what it ran, how it ended',
  looksBack: true,
  words: '<launch>',
  options: {},
  examples: [
    'apphub launches deployments 0199…',
    'apphub launches deployments 0199… --json | jq -r ".data[].buildId"',
  ],
  run: async ({ words: [id = ''], client, out }) => {
    const answer = await client.get<Many<Deployment>>(launchPath(id, 'deployments'));
    if (out.json) out.document(answer);
    else deploymentRows(out, (await client.get<One<Launch>>(launchPath(id))).data, answer.data);
    return exits.ok;
  },
});
