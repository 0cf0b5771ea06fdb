/**
 * Languages and frameworks, by the files with which package managers work: what stands beside the Dockerfile, else in the
 * nearest folder above it. Framework names are looked for as words; no manifest is run or resolved.
 */
import type { SourcedTag } from '../../../domain/apps/tag.ts';
import { type Checkout, foldersUpFrom, inFolder } from './checkout.ts';
import { isRecord, parseStructured } from './structured.ts';
import { asPlainLine, asWebUrl } from './text.ts';

const manifestBytesMax = 256 * 1024;
const manifestsReadMax = 16;

/** What a package.json says for people to read. */
type PackageFacts = { name: string | null; description: string | null; homepage: string | null };
export type ManifestFacts = { tags: SourcedTag[]; package: PackageFacts | null };

type Ecosystem = { files: RegExp; language: string; frameworks: Record<string, string> };

/** The name of a dependency → the framework it stands for. */
const ecosystems: readonly Ecosystem[] = [
  {
    files: /^(requirements.*\.txt|pyproject\.toml|Pipfile|setup\.(py|cfg)|environment\.ya?ml)$/,
    language: 'python',
    frameworks: {
      django: 'django',
      flask: 'flask',
      fastapi: 'fastapi',
      streamlit: 'streamlit',
      gradio: 'gradio',
      dash: 'dash',
      tornado: 'tornado',
      aiohttp: 'aiohttp',
      litestar: 'litestar',
    },
  },
  {
    files: /^go\.mod$/,
    language: 'go',
    frameworks: {
      'gin-gonic/gin': 'gin',
      'labstack/echo': 'echo',
      'gofiber/fiber': 'fiber',
      'go-chi/chi': 'chi',
    },
  },
  {
    files: /^Cargo\.toml$/,
    language: 'rust',
    frameworks: { axum: 'axum', 'actix-web': 'actix', rocket: 'rocket', warp: 'warp', leptos: 'leptos' },
  },
  {
    files: /^Gemfile$/,
    language: 'ruby',
    frameworks: { rails: 'rails', sinatra: 'sinatra', hanami: 'hanami' },
  },
  {
    files: /^composer\.json$/,
    language: 'php',
    frameworks: {
      'laravel/framework': 'laravel',
      'symfony/framework-bundle': 'symfony',
      'slim/slim': 'slim',
    },
  },
  {
    files: /^(pom\.xml|build\.gradle)$/,
    language: 'java',
    frameworks: { 'spring-boot': 'spring-boot', quarkus: 'quarkus', micronaut: 'micronaut' },
  },
  {
    files: /^build\.gradle\.kts$/,
    language: 'kotlin',
    frameworks: { 'spring-boot': 'spring-boot', ktor: 'ktor', quarkus: 'quarkus' },
  },
  { files: /^mix\.exs$/, language: 'elixir', frameworks: { phoenix: 'phoenix' } },
  { files: /\.csproj$/, language: 'csharp', frameworks: { 'Microsoft.NET.Sdk.Web': 'aspnet' } },
  {
    files: /^deno\.jsonc?$/,
    language: 'typescript',
    frameworks: { fresh: 'fresh', hono: 'hono', oak: 'oak' },
  },
];

const nodeFrameworks: Record<string, string> = {
  next: 'nextjs',
  nuxt: 'nuxt',
  astro: 'astro',
  '@remix-run/react': 'remix',
  vue: 'vue',
  svelte: 'svelte',
  '@angular/core': 'angular',
  'solid-js': 'solid',
  express: 'express',
  fastify: 'fastify',
  '@nestjs/core': 'nestjs',
  koa: 'koa',
  hono: 'hono',
  '@hapi/hapi': 'hapi',
};
const nodeLibraries: Record<string, string> = { react: 'react', preact: 'preact', three: 'three', d3: 'd3' };

/** Reads the manifests nearest to the Dockerfile: first folder upwards that has any. */
export async function readManifests(checkout: Checkout, dockerfilePath: string): Promise<ManifestFacts> {
  for (const folder of foldersUpFrom(dockerfilePath)) {
    const names = (await checkout.list(folder))
      .filter(({ kind }) => kind !== 'folder')
      .map(({ name }) => name);
    const tags: SourcedTag[] = [];
    const found = names.includes('package.json')
      ? await readPackage(checkout, folder, names.includes('tsconfig.json'))
      : null;
    tags.push(...(found?.tags ?? []));
    let read = 0;
    for (const ecosystem of ecosystems) {
      const files = names.filter(name => ecosystem.files.test(name)).slice(0, manifestsReadMax - read);
      read += files.length;
      const texts = files.map(name => checkout.readText(inFolder(folder, name), manifestBytesMax));
      if (files.length > 0) tags.push(...tagsOf(ecosystem, (await Promise.all(texts)).join('\n')));
    }
    if (tags.length > 0 || found !== null) return { tags, package: found?.facts ?? null };
  }
  return { tags: [], package: null };
}

function tagsOf({ language, frameworks }: Ecosystem, text: string): SourcedTag[] {
  const source = 'auto:language';
  const lower = text.toLowerCase();
  const found = Object.entries(frameworks).filter(([dependency]) =>
    holdsWord(lower, dependency.toLowerCase()),
  );
  return [
    { key: 'language', value: language, source },
    ...found.map(([, value]): SourcedTag => ({ key: 'framework', value, source })),
  ];
}

/** Whether the word is there, not as a part of another name (`dash` in `dashboard-kit`). */
function holdsWord(text: string, word: string): boolean {
  for (let at = text.indexOf(word); at !== -1; at = text.indexOf(word, at + 1)) {
    const before = text[at - 1] ?? ' ';
    const after = text[at + word.length] ?? ' ';
    if (!/[a-z0-9_]/.test(before) && !/[a-z0-9_]/.test(after)) return true;
  }
  return false;
}

async function readPackage(
  checkout: Checkout,
  folder: string,
  hasTsconfig: boolean,
): Promise<{ tags: SourcedTag[]; facts: PackageFacts } | null> {
  const text = await checkout.readText(inFolder(folder, 'package.json'), manifestBytesMax);
  const parsed = text === null ? null : parseStructured('package.json', text);
  if (!parsed?.ok || !isRecord(parsed.value)) return null;
  const manifest = parsed.value;
  const isNamed = (dependency: string) =>
    ['dependencies', 'devDependencies'].some(each => {
      const dependencies = manifest[each];
      return isRecord(dependencies) && Object.hasOwn(dependencies, dependency);
    });
  const source = 'auto:package';
  const language = hasTsconfig || isNamed('typescript') ? 'typescript' : 'javascript';
  const tags: SourcedTag[] = [{ key: 'language', value: language, source }];
  for (const [key, known] of [['framework', nodeFrameworks] as const, ['library', nodeLibraries] as const]) {
    for (const [dependency, value] of Object.entries(known)) {
      if (isNamed(dependency)) tags.push({ key, value, source });
    }
  }
  const engine = isRecord(manifest.engines) && textOf(manifest.engines.node, 60);
  if (engine) tags.push({ key: 'runtime', value: `node@${engine}`, source });
  const homepage = typeof manifest.homepage === 'string' ? manifest.homepage : '';
  return {
    tags,
    facts: {
      name: textOf(manifest.name, 120),
      description: textOf(manifest.description, 1_000),
      homepage: asWebUrl(homepage, ['https:', 'http:']),
    },
  };
}

function textOf(value: unknown, charsMax: number): string | null {
  return typeof value === 'string' ? asPlainLine(value, charsMax) : null;
}
