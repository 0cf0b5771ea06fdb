/** Dockerfiles as they are written in the wild, and what is read of them. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readDockerfile } from '../../../workers/adapters/dockerfile.ts';

const read = (text: string) =>
  readDockerfile(text).instructions.map(({ keyword, flags, rest }) => [keyword, ...flags, rest].join('|'));

suite('reading a Dockerfile', () => {
  test('instructions of several lines, with comments and empty lines in between', () => {
    assert.deepEqual(
      read(
        '\uFEFF# a comment\r\nfrom scratch\r\n\r\nRUN one \\\r\n  # not a word\r\n\r\n  && two \\  \r\n  && three\r\nCMD ["a"]',
      ),
      ['FROM|scratch', 'RUN|one   && two   && three', 'CMD|["a"]'],
    );
    const { instructions } = readDockerfile('FROM a\nRUN x \\\n y\nRUN z');
    assert.deepEqual(
      instructions.map(({ from, to }) => [from, to]),
      [
        [0, 0],
        [1, 2],
        [3, 3],
      ],
    );
    assert.deepEqual(read('FROM a\nRUN never ends \\'), ['FROM|a', 'RUN|never ends']);
    assert.deepEqual(read(''), []);
  });

  test('directives stand at the top only', () => {
    const { syntax, directives, instructions } = readDockerfile(
      '# syntax = docker/dockerfile:1  \n# escape=`\n# check=skip=all\n# comment\n# syntax=late\nFROM a\nRUN a `\n b \\\nRUN c',
    );
    assert.deepEqual(syntax, { image: 'docker/dockerfile:1', line: 0 });
    assert.equal(directives, 3);
    assert.deepEqual(
      instructions.map(({ rest }) => rest),
      ['a', 'a  b \\', 'c'],
    );
    assert.equal(readDockerfile('\n# syntax=x\nFROM a').syntax, null);
    assert.equal(readDockerfile('FROM a\n# syntax=x').syntax, null);
  });

  test('flags, however they are quoted', () => {
    assert.deepEqual(
      read(
        'FROM --platform=$BUILDPLATFORM a AS b\nRUN --mount=type=cache,target="/a b" --network=none ls --all\n' +
          'COPY --link --from=b /x /y\nENV --not=a-flag',
      ),
      [
        'FROM|--platform=$BUILDPLATFORM|a AS b',
        'RUN|--mount=type=cache,target="/a b"|--network=none|ls --all',
        'COPY|--link|--from=b|/x /y',
        'ENV|--not=a-flag',
      ],
    );
  });

  test('here-documents, one or several, and what only looks like one', () => {
    const { instructions } = readDockerfile(
      [
        'FROM a',
        'RUN <<EOF',
        'FROM nothing',
        '  # kept',
        'EOF',
        'COPY <<"A" <<-B /to/',
        '$one',
        'A',
        '\t\ttwo',
        '\tB',
        'RUN ["sh", "-c", "cat <<EOF"]',
        'RUN cat <<< word',
        'RUN echo "<<EOF"',
        'ENV x=<<EOF',
        'RUN --mount=type=tmpfs,target=/x 3<<EOF cat',
        'open to the end',
      ].join('\n'),
    );
    assert.deepEqual(
      instructions.map(({ keyword, heredocs }) => [
        keyword,
        ...heredocs.map(({ name, isQuoted, text }) => [name, isQuoted, text]),
      ]),
      [
        ['FROM'],
        ['RUN', ['EOF', false, 'FROM nothing\n  # kept\n']],
        ['COPY', ['A', true, '$one\n'], ['B', false, 'two\n']],
        ['RUN'],
        ['RUN'],
        ['RUN'],
        ['ENV'],
        ['RUN', ['EOF', false, 'open to the end\n']],
      ],
    );
    assert.deepEqual([instructions[1]?.from, instructions[1]?.to], [1, 4]);
  });

  test('no text takes long', () => {
    for (const text of [
      '"'.repeat(100_000),
      `RUN ${'\\'.repeat(100_000)}`,
      `RUN ${'<<E '.repeat(20_000)}`,
      '--a=b '.repeat(100_000),
      '#'.repeat(1e6),
    ]) {
      readDockerfile(`FROM a\nRUN ${text}`);
    }
  });
});
