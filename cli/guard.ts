/** `apphub guard`: the firewall of the host that launches run on, without a server. */
import { readConfig } from '../platform/config.ts';
import { openLogger } from '../platform/log.ts';
import { exits } from './exit.ts';
import { openEach } from './open-engines.ts';
import { defineVerb, type Verb } from './verb.ts';

/** Every engine of the settings, one after the other. */
function engines() {
  const log = openLogger({ level: 'silent' });
  return openEach({ ...readConfig(process.env), instance: 'apphub', log });
}

const set = defineVerb({
  summary: 'Set the rules that keep launches away from this host',
  words: '',
  options: {},
  examples: ['apphub guard set'],
  about:
    'AppHub does so by itself before a launch starts, and looks after them. Rules that are there stay as they are.',
  run: async ({ out }) => {
    for (const { docker } of engines()) await docker.guard();
    if (out.json) out.document({ guarded: true });
    else out.line('The host is guarded.');
    return exits.ok;
  },
});

const remove = defineVerb({
  summary: 'Take those rules away again',
  words: '',
  options: {},
  examples: ['apphub guard remove'],
  about:
    'For whoever stops using AppHub on this host: one that runs sets them again. No other rule is touched.',
  run: async ({ out }) => {
    for (const { docker } of engines()) await docker.unguard();
    if (out.json) out.document({ guarded: false });
    else out.line('The rules are gone.');
    return exits.ok;
  },
});

export const verbs: Readonly<Record<string, Verb>> = { set, remove };
