// biome-ignore-all lint/suspicious/noTemplateCurlyInString: a Dockerfile's variables look like that.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { portsMax } from '../../../../domain/kernel/limits.ts';
import { parseDockerfile } from '../../../../workers/apps/inspect/dockerfile.ts';
import { tagsOfDockerfile } from '../../../../workers/apps/inspect/dockerfile-tags.ts';

const ports = (text: string) => parseDockerfile(text)?.ports;
const tags = (text: string) => {
  const dockerfile = parseDockerfile(text);
  assert.ok(dockerfile);
  const found = tagsOfDockerfile(dockerfile);
  for (const { source } of found) assert.equal(source, 'auto:dockerfile');
  return found.map(({ key, value }) => `${key}:${value}`);
};

suite('ports of a Dockerfile', () => {
  test('are TCP, in the order of the file, each once', () => {
    assert.deepEqual(
      ports('FROM a\nEXPOSE 8080 53/udp 80/tcp\nexpose 8080\nEXPOSE 9000/TCP'),
      [8080, 80, 9000],
    );
  });

  test('may be ranges, bounded', () => {
    assert.deepEqual(ports('FROM a\nEXPOSE 8000-8002'), [8000, 8001, 8002]);
    assert.equal(ports('FROM a\nEXPOSE 1-65535')?.length, portsMax);
    assert.deepEqual(ports('FROM a\nEXPOSE 0 65536 8002-8000 -1 web 80-70000 99999999999'), []);
  });

  test('may be variables of ARG and ENV, with and without defaults', () => {
    assert.deepEqual(ports('FROM a\nARG P=3000\nENV PORT=${P}\nEXPOSE $PORT/tcp'), [3000]);
    assert.deepEqual(ports('FROM a\nEXPOSE ${PORT:-4000} ${X-5000} ${Y:+6000}'), [4000, 5000]);
    assert.deepEqual(ports('FROM a\nENV PORT 7000\nEXPOSE $PORT'), [7000]);
    assert.deepEqual(ports('FROM a\nENV A="1" PORT="7001"\nEXPOSE ${PORT:+7002}'), [7002]);
    assert.deepEqual(ports('FROM a\nENV PORTS="80 443"\nEXPOSE $PORTS'), [80, 443]);
  });

  test('an ENV goes before an ARG, and an ARG before FROM is seen only when it is declared again', () => {
    assert.deepEqual(ports('FROM a\nENV P=1\nARG P=2\nEXPOSE $P'), [1]);
    assert.deepEqual(ports('ARG P=3000\nFROM a\nEXPOSE $P'), []);
    assert.deepEqual(ports('ARG P=3000\nFROM a\nARG P\nEXPOSE $P'), [3000]);
  });

  test('are those of the last stage and of what it is built on', () => {
    const text =
      'FROM node:24 AS Base\nENV PORT=1\nARG Q=2\nEXPOSE 10\nFROM golang AS other\nEXPOSE 20\nFROM base\nEXPOSE $PORT $Q';
    assert.deepEqual(ports(text), [10, 1]);
    assert.equal(parseDockerfile(text)?.stages.at(-1)?.baseImage, 'node:24');
  });

  test('are read through comments, continued lines and another escape character', () => {
    assert.deepEqual(ports('# x\nFROM a\nEXPOSE 80 \\\n# between\n  81\n'), [80, 81]);
    assert.deepEqual(ports('# escape=`\nFROM a\nEXPOSE 80 `\n  81\n'), [80, 81]);
  });
});

suite('health of a Dockerfile', () => {
  const healthcheck = (text: string) => parseDockerfile(text)?.healthcheck;
  test('is what the last stage says last', () => {
    assert.equal(healthcheck('FROM a'), false);
    assert.equal(healthcheck('FROM a\nHEALTHCHECK --interval=5s CMD curl -f http://localhost/'), true);
    assert.equal(healthcheck('FROM a\nHEALTHCHECK CMD x\nHEALTHCHECK NONE'), false);
    assert.equal(healthcheck('FROM a AS b\nHEALTHCHECK CMD x\nFROM c'), false);
    assert.equal(healthcheck('FROM a AS b\nHEALTHCHECK CMD x\nFROM b'), true);
  });
});

suite('tags of a Dockerfile', () => {
  test('name runtime, version and language of the image', () => {
    assert.deepEqual(
      tags('ARG V=24\nFROM --platform=linux/amd64 registry.example.org:5000/library/node:${V}-slim'),
      [
        'language:javascript',
        'runtime:node',
        'runtime:node24',
        'base-image:registry.example.org:5000/library/node:24-slim',
      ],
    );
    assert.deepEqual(tags('FROM python'), ['language:python', 'runtime:python', 'base-image:python']);
  });

  test('tell the languages of all stages but the runtime of the last', () => {
    assert.deepEqual(tags('FROM node:24 AS build\nFROM golang:1.25 AS api\nFROM nginx:1.29\n'), [
      'language:javascript',
      'language:go',
      'runtime:nginx',
      'runtime:nginx1',
      'base-image:nginx:1.29',
    ]);
    assert.deepEqual(tags('FROM rust:1 AS b\nFROM scratch'), ['language:rust']);
  });

  test('tell frameworks that are started by name', () => {
    assert.deepEqual(tags('FROM x\nCMD ["streamlit", "run", "app.py"]'), [
      'base-image:x',
      'framework:streamlit',
    ]);
    assert.deepEqual(tags('FROM x\nRUN echo streamlitter'), ['base-image:x']);
  });
});

suite('what is no Dockerfile', () => {
  test('has no FROM', () => {
    for (const text of [
      '',
      '# FROM a',
      'RUN x',
      'FROM',
      'ARG V\nFROM $V',
      '<html>',
      '\u0000\u0001',
      'EXPOSE 80',
    ]) {
      assert.equal(parseDockerfile(text), null, JSON.stringify(text));
    }
  });

  test('never throws, whatever it is', () => {
    const words = [
      'FROM',
      'a',
      'AS',
      'ARG',
      'ENV',
      'EXPOSE',
      '$P',
      '${P:-',
      '}',
      '=',
      '\\\n',
      '\n',
      '"',
      '<<EOF',
      '# escape=`\n',
    ];
    const text = fc
      .array(fc.oneof(fc.constantFrom(...words), fc.string()), { maxLength: 40 })
      .map(each => each.join(' '));
    fc.assert(
      fc.property(text, each => {
        const parsed = parseDockerfile(each);
        assert.ok(parsed === null || parsed.ports.every(port => port >= 1 && port <= 65_535));
      }),
    );
  });

  test('costs little when it is large and hostile', { timeout: 20_000 }, () => {
    const bytes = 128 * 1024;
    for (const part of [
      'ENV A=$A$A$A$A\n',
      'RUN \\\n',
      'EXPOSE 1-65535\n',
      'FROM a AS b\n',
      '${',
      'x ',
      'RUN <<EOF\n',
      '"',
    ]) {
      parseDockerfile(`FROM a\n${part.repeat(bytes / part.length)}`);
    }
  });
});
