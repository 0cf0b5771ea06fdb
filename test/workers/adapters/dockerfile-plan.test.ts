// biome-ignore-all lint/suspicious/noTemplateCurlyInString: a Dockerfile's variables look like that.
/** Which builder a Dockerfile needs, in which words it gets it, and which images it starts from. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { BuildFailure, type PlanOptions } from '../../../workers/adapters/docker-types.ts';
import { planOf } from '../../../workers/adapters/dockerfile-plan.ts';

const old: PlanOptions = { args: {}, buildkit: 'auto', engineMajor: 20 };
const modern: PlanOptions = { ...old, engineMajor: 28 };
const plan = (text: string, options: Partial<PlanOptions> = {}) => planOf(text, { ...old, ...options });
const refused = (text: string, options: Partial<PlanOptions> = {}) => {
  try {
    plan(text, options);
  } catch (error) {
    assert.ok(error instanceof BuildFailure, `${error}`);
    assert.equal(error.retryable, false);
    return error.reason;
  }
  return assert.fail('it was planned');
};

suite('the builder of a Dockerfile', () => {
  test('is the classic one, unless it would not understand something', () => {
    const classic = [
      'FROM a\nARG X\nRUN make --mount=type=x\nCOPY --from=b --chown=1:1 a /b',
      'FROM a\nADD a b\nENV TARGETARCH=x\nHEALTHCHECK --interval=1s CMD x',
      'ARG TARGETARCH=amd64\nFROM a',
      'FROM --platform=linux/amd64 a',
      '',
      'NONSENSE',
    ];
    for (const text of classic)
      assert.deepEqual([plan(text).builder, plan(text).because], ['classic', null], text);
    for (const [text, because] of [
      ['FROM a\nRUN --mount=type=cache,target=/c x', 'RUN --mount'],
      ['FROM a\nrun --network=none x', 'RUN --network'],
      ['FROM a\nCOPY --chmod=755 a b', 'COPY --chmod'],
      ['FROM a\nADD --checksum=sha256:1 a b', 'ADD --checksum'],
      ['FROM a\nCOPY --parents a b', 'COPY --parents'],
      ['FROM a\nARG TARGETARCH\nRUN x', 'ARG TARGETARCH'],
      ['FROM --platform=$BUILDPLATFORM a', 'FROM with BUILDPLATFORM'],
      ['FROM a-${TARGETARCH}', 'FROM with TARGETARCH'],
    ] as const) {
      assert.deepEqual([plan(text).builder, plan(text).because], ['buildkit', because], text);
    }
  });

  test('is not BuildKit where that is off', () => {
    assert.match(
      refused('FROM a\nRUN --mount=type=tmpfs,target=/x x', { buildkit: 'off' }),
      /needs BuildKit for RUN --mount, which is off/,
    );
    assert.equal(plan('FROM a\nRUN <<E\nx\nE', { buildkit: 'off' }).builder, 'classic');
  });

  test('reads the Dockerfile itself: what # syntax= names is not run, and its lines keep their numbers', () => {
    const named = plan('# syntax=docker/dockerfile:1.7-labs\n# escape=`\nFROM a\nRUN b');
    assert.equal(named.dockerfile, '# escape=`\n#\nFROM a\nRUN b');
    assert.equal(named.builder, 'classic');
    const mounted =
      '# syntax=docker.io/docker/dockerfile:1@sha256:' +
      '0'.repeat(64) +
      '\nFROM a\nRUN --mount=type=tmpfs,target=/x x';
    assert.equal(plan(mounted).dockerfile.split('\n')[0], '#');
    for (const image of [
      'evil.example/frontend',
      'docker/dockerfile2',
      'docker/dockerfile-evil:1',
      'docker/dockerfile:1 x',
    ]) {
      if (image.endsWith(' x')) assert.equal(plan(`# syntax=${image}\nFROM a`).builder, 'classic');
      else assert.match(refused(`# syntax=${image}\nFROM a`), /names a program/);
    }
    const own = 'registry.example/frontend:2';
    assert.equal(plan(`# syntax=${own}\nFROM a`, { frontend: own }).builder, 'classic');
  });
});

suite('newer words', () => {
  const heredocs = [
    'FROM a',
    'SHELL ["/bin/bash", "-c"]',
    'RUN <<EOF',
    'one "two"',
    'EOF',
    "RUN --mount=type=tmpfs,target=/x cat <<-'E' > /f && true",
    '\tx',
    '\tE',
    'COPY --link --from=b /x /y',
    'FROM a',
    'RUN <<P',
    '#!/usr/bin/env python3',
    'print(1)',
    'P',
  ].join('\n');

  test('are written in older ones, line by line, with the shell of their stage', () => {
    const { dockerfile, builder } = plan(heredocs);
    assert.equal(builder, 'buildkit');
    assert.deepEqual(dockerfile.split('\n'), [
      'FROM a',
      'SHELL ["/bin/bash", "-c"]',
      'RUN ["/bin/bash","-c","one \\"two\\"\\n"]',
      '#',
      '#',
      'RUN --mount=type=tmpfs,target=/x ["/bin/bash","-c","cat <<-\'E\' > /f && true\\nx\\nE"]',
      '#',
      '#',
      'COPY --from=b /x /y',
      'FROM a',
      'RUN ["/bin/sh","-c","cat >/dev/shm/script <<\'APPHUB-SCRIPT\'\\n#!/usr/bin/env python3\\nprint(1)\\n' +
        'APPHUB-SCRIPT\\n/usr/bin/env python3 /dev/shm/script"]',
      '#',
      '#',
      '#',
    ]);
    assert.equal(plan(heredocs, modern).dockerfile, heredocs, 'a builder that has them is left them');
    assert.equal(plan(heredocs, { frontend: 'docker/dockerfile:1' }).dockerfile, heredocs);
  });

  test('texts of COPY become files beside the context', () => {
    const { dockerfile, files, builder } = plan(
      'FROM a\nCOPY <<A <<"B" x /d/\nplain\nA\n$kept\nB\nADD <<C /e\n\nC\n',
    );
    assert.equal(builder, 'classic');
    assert.deepEqual(files, [
      { path: '.apphub-heredoc/2/A', text: 'plain\n' },
      { path: '.apphub-heredoc/2/B', text: '$kept\n' },
      { path: '.apphub-heredoc/3/C', text: '\n' },
    ]);
    assert.equal(
      dockerfile,
      'FROM a\nCOPY .apphub-heredoc/2/A .apphub-heredoc/2/B x /d/\n#\n#\n#\n#\nADD .apphub-heredoc/3/C /e\n#\n#\n',
    );
  });

  test('with variables that only a builder can put in need one that does', () => {
    const text = 'FROM a\nCOPY <<A /d\n$x\nA';
    assert.match(refused(text), /needs a Docker Engine of version 23 or later/);
    assert.deepEqual([plan(text, modern).builder, plan(text, modern).dockerfile], ['buildkit', text]);
    for (const name of ['../../etc/passwd', 'a b']) {
      assert.match(refused(`FROM a\nCOPY <<"${name}" /d\nx\n${name}`), /version 23 or later/);
    }
  });
});

suite('what a plan tells', () => {
  test('images from elsewhere, with arguments put in', () => {
    const text = [
      'ARG VERSION=24',
      'ARG BASE=node:${VERSION}',
      'ARG NONE',
      'FROM $BASE AS Build',
      'RUN --mount=type=bind,from=tools:1,target=/t x',
      'FROM scratch AS empty',
      'COPY --from=build /x /x',
      'COPY --from=0 /y /y',
      'COPY --from=registry.example:5000/other@sha256:1 /z /z',
      'FROM build',
      'FROM "debian:${NONE:-12}${VERSION:+-slim}"',
    ].join('\n');
    const rest = ['tools:1', 'registry.example:5000/other@sha256:1', 'debian:12-slim'];
    assert.deepEqual(plan(text).bases, ['node:24', ...rest]);
    assert.deepEqual(plan(text, { args: { VERSION: '26' } }).bases[0], 'node:26');
    assert.deepEqual(plan(text, { args: { BASE: 'a', constructor: 'b' } }).bases[0], 'a');
  });

  test('the steps that BuildKit counts, by stage', () => {
    const text =
      'ARG A\nFROM a AS One\nENV x=1\nRUN a\nFROM one\nWORKDIR /w\nCMD x\nCOPY a b\nFROM scratch\nADD a b';
    assert.deepEqual(plan(text).stages, [
      { name: 'One', steps: [2, 4] },
      { name: 'stage-1', steps: [6, 8] },
      { name: 'stage-2', steps: [10] },
    ]);
    assert.equal(plan(text).instructions[3], 'RUN a');
  });

  test('steps with secrets are set apart in each stage', () => {
    const step = 'RUN --mount=target=/x,type=secret,id=y true';
    const { dockerfile, hasSecrets } = plan(`ARG B=a\nFROM $B \\\n AS one\n${step}\nFROM b\nRUN x`);
    assert.equal(hasSecrets, true);
    assert.equal(
      dockerfile,
      `ARG B=a\nFROM $B \\\n AS one\nARG APPHUB_SECRETS\n${step}\nFROM b\nARG APPHUB_SECRETS\nRUN x`,
    );
    assert.equal(plan('FROM a\nRUN --mount=type=ssh x').hasSecrets, false);
  });

  test('the sum of the Dockerfile as it is in the repository', () => {
    assert.equal(plan('').sha256, 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });
});
