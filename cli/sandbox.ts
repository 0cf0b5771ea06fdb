/** `apphub apps sandbox`: how an app is confined, shown and changed. */
import { checkEgressHost } from '../domain/apps/sandbox.ts';
import type { App, One, Sandbox } from './api.ts';
import { exits, UsageError } from './exit.ts';
import { plain } from './format.ts';
import { facts, type Output } from './output.ts';
import { defineVerb } from './verb.ts';

const runtimes = ['default', 'runsc'];

export const sandbox = defineVerb({
  summary: 'Show how an app is confined, or change it (administrators)',
  looksBack: true,
  words: '<app>',
  options: {
    egress: {
      type: 'string',
      multiple: true,
      value: 'host',
      help: 'A host it may speak to; repeat. They take the place of those before; "" alone: none',
    },
    'allow-root': { type: 'boolean', help: 'Its processes may be root inside of their container' },
    'no-allow-root': { type: 'boolean', help: 'They may not, as by default' },
    runtime: { type: 'string', value: 'name', help: 'default, or runsc for a kernel of its own' },
  },
  examples: [
    'apphub apps sandbox shop',
    'apphub apps sandbox shop --egress api.example.org --egress "*.example.com:8443"',
    'apphub apps sandbox shop --egress "" --no-allow-root',
  ],
  about:
    'What is changed counts for what is launched from then on. Root in a container has no more rights on its host,\n' +
    'but of a hole in the kernel it makes more: allow it only for apps whose source you trust.',
  run: async ({ words: [id = ''], options, client, out }) => {
    const path = `/apps/${encodeURIComponent(id)}`;
    const changes = changesOf(options);
    const { data } = await client.get<One<App>>(path);
    if (Object.keys(changes).length === 0) {
      if (out.json) out.document({ data: data.sandbox });
      else sandboxCard(out, id, data.sandbox);
      return exits.ok;
    }
    const next = { ...data.sandbox, ...changes };
    const written = await client.write('PUT', `${path}/sandbox`, next);
    if (out.json) out.document(written);
    else {
      sandboxCard(out, id, next);
      out.note('It counts for what is launched from now on.');
    }
    return exits.ok;
  },
});

type Asked = {
  readonly egress?: string[] | undefined;
  readonly 'allow-root'?: boolean | undefined;
  readonly 'no-allow-root'?: boolean | undefined;
  readonly runtime?: string | undefined;
};

function changesOf({ egress, 'allow-root': yes, 'no-allow-root': no, runtime }: Asked): Partial<Sandbox> {
  if (yes === true && no === true)
    throw new UsageError('--allow-root and --no-allow-root exclude each other');
  if (runtime !== undefined && !runtimes.includes(runtime)) {
    throw new UsageError(`--runtime is "${runtime}"; it must be ${runtimes.join(' or ')}`);
  }
  const hosts = egress?.filter(host => host !== '').map(host => host.toLowerCase());
  for (const host of hosts ?? []) {
    const wrong = checkEgressHost(host);
    if (wrong !== undefined) throw new UsageError(`--egress is "${host}"; it ${wrong}`);
  }
  return {
    ...(hosts === undefined ? {} : { egress: hosts }),
    ...(yes === true || no === true ? { allowRoot: yes === true } : {}),
    ...(runtime === undefined ? {} : { runtime }),
  };
}

function sandboxCard(out: Output, id: string, { egress, allowRoot, runtime }: Sandbox): void {
  out.line(`How ${out.paint('bold', id)} is confined`);
  facts(out, [
    ['Speaks to', egress.length === 0 ? 'nobody' : egress.map(plain).join(', ')],
    ['Root inside', allowRoot ? 'allowed' : 'never'],
    ['Runtime', runtime === 'runsc' ? 'runsc: a kernel of its own' : 'default: the kernel of its host'],
  ]);
}
