import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { suite, test } from 'node:test';
import { verbs as apps } from '../../cli/apps.ts';
import { verbs as audit } from '../../cli/audit.ts';
import { verbs as bisect } from '../../cli/bisect.ts';
import { verbs as builds } from '../../cli/builds.ts';
import { verbs as hosts } from '../../cli/hosts.ts';
import { verbs as images } from '../../cli/images.ts';
import { verbs as keys } from '../../cli/keys.ts';
import { verbs as launches } from '../../cli/launches.ts';
import { verbs as log } from '../../cli/log.ts';
import { verbs as secrets } from '../../cli/secrets.ts';
import { verbs as sessions } from '../../cli/sessions.ts';
import { verbs as why } from '../../cli/why.ts';

suite('docs/cli.md', async () => {
  const text = await readFile(new URL('../../docs/cli.md', import.meta.url), 'utf8');
  for (const [noun, verbs] of Object.entries({
    apps,
    builds,
    images,
    secrets,
    launches,
    hosts,
    log,
    keys,
    sessions,
    audit,
    why,
    bisect,
  })) {
    const section = text.split(/^## /m).find(part => part.startsWith(`\`apphub ${noun}\``)) ?? '';
    test(`tells every verb and option of ${noun}, and none that is not there`, () => {
      const wanted = Object.entries(verbs).map(([name, { words }]) =>
        `apphub ${noun} ${name} ${words}`.trim(),
      );
      const told = [...section.matchAll(/\*\*`(apphub [^`]+)`\*\*/g)].map(match => match[1]);
      assert.deepEqual(told.toSorted(), wanted.toSorted());
      const all = Object.values(verbs).flatMap(verb => Object.keys(verb.options));
      // What many verbs have in common is told once, at the top.
      const options = all.filter(option => option !== 'as-of');
      assert.match(text, /\*\*`--as-of <when>`\*\*/);
      for (const option of options)
        assert.match(section, new RegExp(`--${option}\\b`), `--${option} is not told`);
      for (const [, option = ''] of section.matchAll(/--([a-z-]+)/g)) {
        assert.ok([...options, 'json'].includes(option), `--${option} does not exist`);
      }
    });
  }
});
