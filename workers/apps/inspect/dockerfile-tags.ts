/** What the images a Dockerfile starts from, and the commands it runs, tell about the app. */
import type { SourcedTag } from '../../../domain/apps/tag.ts';
import type { Dockerfile } from './dockerfile.ts';

const imageCharsMax = 120;

/** The last part of an image's name → the runtime it brings and the language that is written for it. */
const images: Record<string, { runtime: string; language?: string }> = {
  node: { runtime: 'node', language: 'javascript' },
  bun: { runtime: 'bun', language: 'javascript' },
  deno: { runtime: 'deno', language: 'typescript' },
  python: { runtime: 'python', language: 'python' },
  golang: { runtime: 'go', language: 'go' },
  rust: { runtime: 'rust', language: 'rust' },
  ruby: { runtime: 'ruby', language: 'ruby' },
  php: { runtime: 'php', language: 'php' },
  openjdk: { runtime: 'java', language: 'java' },
  'eclipse-temurin': { runtime: 'java', language: 'java' },
  amazoncorretto: { runtime: 'java', language: 'java' },
  maven: { runtime: 'java', language: 'java' },
  gradle: { runtime: 'java', language: 'java' },
  tomcat: { runtime: 'tomcat', language: 'java' },
  aspnet: { runtime: 'dotnet', language: 'csharp' },
  elixir: { runtime: 'elixir', language: 'elixir' },
  erlang: { runtime: 'erlang', language: 'erlang' },
  swift: { runtime: 'swift', language: 'swift' },
  perl: { runtime: 'perl', language: 'perl' },
  'r-base': { runtime: 'r', language: 'r' },
  shiny: { runtime: 'r', language: 'r' },
  nginx: { runtime: 'nginx' },
  httpd: { runtime: 'httpd' },
  caddy: { runtime: 'caddy' },
};

/** Words of RUN, CMD and ENTRYPOINT → framework. */
const commands: readonly [RegExp, string][] = [
  [/\bstreamlit\b/, 'streamlit'],
  [/\bfastapi\b/, 'fastapi'],
  [/\bgradio\b/, 'gradio'],
  [/\bflask\b/, 'flask'],
  [/\bdjango\b|\bmanage\.py\b/, 'django'],
  [/\bnext (start|build)\b/, 'nextjs'],
];

/** Languages of all stages, the runtime and base image of the last one, and frameworks that are started by name. */
export function tagsOfDockerfile({ stages, commands: text }: Dockerfile): SourcedTag[] {
  const source = 'auto:dockerfile';
  const last = stages.at(-1);
  const languages = stages.map(({ baseImage }) => images[imageName(baseImage)]?.language);
  const tags: SourcedTag[] = [...new Set(languages)].flatMap(value =>
    value === undefined ? [] : [{ key: 'language', value, source }],
  );
  if (last !== undefined && last.baseImage !== 'scratch') {
    const runtime = images[imageName(last.baseImage)]?.runtime;
    const major = /:(\d{1,4})\b[^/]*$/.exec(last.baseImage)?.[1];
    if (runtime !== undefined) {
      tags.push({ key: 'runtime', value: runtime, source });
      if (major !== undefined) tags.push({ key: 'runtime', value: `${runtime}${major}`, source });
    }
    if (last.baseImage.length <= imageCharsMax && !last.baseImage.includes('$')) {
      tags.push({ key: 'base-image', value: last.baseImage, source });
    }
  }
  const started = commands.filter(([pattern]) => pattern.test(text));
  return [...tags, ...started.map(([, value]): SourcedTag => ({ key: 'framework', value, source }))];
}

/** `node` of `registry.example.org:5000/library/node:24-slim@sha256:…`. */
function imageName(image: string): string {
  const last = image.split('@')[0]?.split('/').at(-1) ?? '';
  return last.split(':')[0]?.toLowerCase() ?? '';
}
