/** `apphub images`: what builds have made, what it takes, and making it go. */
import { appPath, wrote } from './apps.ts';
import type { Client } from './client.ts';
import { exits, UsageError } from './exit.ts';
import { plain, relative, size } from './format.ts';
import type { Output } from './output.ts';
import { count } from './say.ts';
import { defineVerb, type Verb, wholeNumber } from './verb.ts';

const rowsMax = 1_000;

/** As in `GET /images`. */
type Image = {
  buildId: string;
  appId: string;
  image: string;
  bytes: number;
  place: 'present' | 'removing' | 'removed';
  reason: string | null;
  isReleased: boolean;
  isUsed: boolean;
  builtAt: string;
  usedAt: string | null;
};

const why: Readonly<Record<string, string>> = {
  count: 'newer ones are enough',
  disk: 'room was needed',
  archived: 'its app is archived',
  asked: 'somebody asked',
  missing: 'it was not there any more',
};

const list = defineVerb({
  summary: 'List images, the newest first',
  looksBack: true,
  words: '[<app>]',
  options: {
    all: { type: 'boolean', short: 'a', help: 'Also those that are gone, and why' },
    limit: { type: 'string', short: 'n', default: '50', value: 'count', help: 'At most so many; default 50' },
  },
  examples: ['apphub images list', 'apphub images list shop --all'],
  run: async ({ words: [app], options, client, out }) => {
    const limit = wholeNumber('limit', options.limit ?? '50', 1, rowsMax);
    const found = await client.list<Image>('/images', { app }, limit);
    const data = found.data.filter(({ place }) => options.all || place !== 'removed');
    if (out.json) out.document({ ...found, data });
    else imageRows(out, data);
    return exits.ok;
  },
});

const remove = defineVerb({
  summary: 'Remove the image of a build',
  words: '<build>',
  options: {},
  examples: ['apphub images remove 0199…'],
  about: 'It goes a few seconds later, unless a launch needs it. What is built again has a new one.',
  run: ({ words: [id = ''], client, out }) => wrote(out, ask(client, id), `The image of build ${id} goes.`),
});

const collect = defineVerb({
  summary: 'Remove images that nobody needs, and keep the newest of each app',
  words: '[<app>]',
  options: {
    keep: { type: 'string', default: '1', value: 'count', help: 'So many of each app stay; default 1' },
    'dry-run': { type: 'boolean', help: 'Only say what would go' },
  },
  examples: ['apphub images collect --dry-run', 'apphub images collect shop --keep 0'],
  about: 'The image that an app is launched with, and those of launches that are not over, stay in any case.',
  run: async ({ words: [app], options, client, out }) => {
    const keep = wholeNumber('keep', options.keep ?? '1', 0, rowsMax);
    if (app !== undefined) await client.get(appPath(app));
    const { data } = await client.list<Image>('/images', { app, place: 'present' }, rowsMax);
    const idle = idleOf(data, keep);
    if (!options['dry-run']) for (const { buildId } of idle) await ask(client, buildId);
    const bytes = idle.reduce((sum, one) => sum + one.bytes, 0);
    if (out.json) out.document({ data: idle, meta: { nextCursor: null } });
    else if (idle.length === 0) out.note('No image is there that nobody needs.');
    else {
      imageRows(out, idle);
      const what = `${count(idle.length, 'image')} of ${size(bytes)}, with the layers that they share`;
      out.note(options['dry-run'] ? `Would remove ${what}.` : `Removing ${what}.`);
    }
    return exits.ok;
  },
});

export const verbs: Readonly<Record<string, Verb>> = { list, remove, collect };

function ask(client: Client, buildId: string) {
  if (buildId === '') throw new UsageError('name a build');
  return client.write('POST', `/builds/${encodeURIComponent(buildId)}/remove-image`);
}

/** All but the newest of each app, of those that nobody needs. */
function idleOf(images: readonly Image[], keep: number): Image[] {
  const seen = new Map<string, number>();
  return images.filter(({ appId, isReleased, isUsed }) => {
    const before = seen.get(appId) ?? 0;
    seen.set(appId, before + 1);
    return before >= keep && !isReleased && !isUsed;
  });
}

function imageRows(out: Output, images: readonly Image[]): void {
  if (images.length === 0) {
    out.note('There are no images like that.');
    return;
  }
  out.table(
    [
      { title: 'BUILD' },
      { title: 'APP', shrinks: true },
      { title: 'IMAGE', shrinks: true },
      { title: 'SIZE', right: true },
      { title: 'BUILT' },
      { title: 'LAUNCHED' },
      { title: 'STATE' },
    ],
    images.map(one => [
      one.buildId,
      one.appId,
      plain(one.image),
      size(one.bytes),
      relative(one.builtAt),
      relative(one.usedAt),
      stateOf(one),
    ]),
  );
}

function stateOf({ place, reason, isReleased, isUsed }: Image): string {
  if (place !== 'present') {
    const because = reason === null ? '' : `: ${why[reason] ?? reason}`;
    return place === 'removed' ? `gone${because}` : `goes${because}`;
  }
  if (isUsed) return 'in use';
  return isReleased ? 'released' : 'idle';
}
