/** The pages that are printed from the code: docs/events.md, errors.md, scopes.md and openapi.json. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describeApi } from '../../cli/openapi.ts';
import { scopeMeanings } from '../../domain/access/scope.ts';
import { type RefusalCode, refusals } from '../../domain/kernel/refusal.ts';
import { edgeCodes, refusalCodes } from '../../platform/problem-codes.ts';
import { eventMeanings } from './event-meanings.ts';

const root = path.join(import.meta.dirname, '..', '..');

/** Every printed page by its path from the root of the project. */
export async function printDocs(): Promise<{ readonly [file: string]: string }> {
  return {
    'docs/events.md': await printEvents(),
    'docs/errors.md': printErrors(),
    'docs/scopes.md': await printScopes(),
    'docs/openapi.json': await printOpenApi(),
  };
}

const note = 'Printed from the code by `npm run docs`; a test fails when this page is old.';

function printErrors(): string {
  const refused = Object.entries(refusals).map(([code, title]) => {
    const { status, advice } = refusalCodes[code as RefusalCode];
    return `| \`${code}\` | ${status} | ${title} | ${advice} |`;
  });
  const edge = Object.entries(edgeCodes).map(
    ([code, { status, title, advice }]) => `| \`${code}\` | ${status} | ${title} | ${advice} |`,
  );
  const head = '| code | status | what it says | what to do |\n|---|---|---|---|';
  return `# Errors

${note}

Every answer that says no is a problem document (RFC 9457, \`application/problem+json\`) with \`type\`, \`title\`, \`status\`,
\`code\` and \`instance\`; some have more members, such as \`errors\` with one entry a field. A code keeps its meaning for ever.

## Decisions against a request

${head}
${refused.join('\n')}

## Before or beside a decision

${head}
${edge.join('\n')}
`;
}

type Operation = { summary: string; 'x-apphub-scope': string };

async function printScopes(): Promise<string> {
  const { paths } = (await describeApi('')) as { paths: Record<string, Record<string, Operation>> };
  const routes = Object.entries(paths).flatMap(([route, verbs]) =>
    Object.entries(verbs).map(([verb, operation]) => ({
      route: `\`${verb.toUpperCase()} ${route}\``,
      scope: operation['x-apphub-scope'],
    })),
  );
  const of = (scope: string) => routes.filter(one => one.scope === scope).map(({ route }) => route);
  const rows = Object.entries(scopeMeanings).map(
    ([scope, meaning]) => `| \`${scope}\` | ${meaning} | ${of(scope).join(', ')} |`,
  );
  return `# Scopes

${note}

What a credential may do. \`*\` is every scope, \`apps:*\` every scope of that context. [Access](access.md) tells who gets them.

| scope | what it lets | routes that need it |
|---|---|---|
${rows.join('\n')}

Whoever is somebody may, with any scope or none: ${of('identified').join(', ')}.

Everybody may: ${of('public').join(', ')}.
`;
}

async function printEvents(): Promise<string> {
  const parts: string[] = [];
  const printed = new Set<string>();
  for (const file of await filesOf('domain/apps', 'domain/access', 'domain/platform')) {
    const source = await readFile(path.join(root, file), 'utf8');
    // A part of a stream's events may be in a file of its own, which then names the stream.
    const category = /category: '([^']+)'|`([a-z]+\.[a-z-]+)-<id>`/.exec(source)?.slice(1).find(Boolean);
    const types = typesOf(source);
    const union = types.find(({ name }) => name.endsWith('Event'));
    if (category === undefined || union === undefined) continue;
    const events = eventsOf(union.text);
    for (const { type } of events) printed.add(type);
    parts.push(printStream(file, category, source, events, types));
  }
  const missing = Object.keys(eventMeanings).filter(type => !printed.has(type));
  if (missing.length > 0) throw new Error(`no definition was found of ${missing}`);
  return `# Events

${note}

An event is stored as JSON with the metadata \`actor\`, \`correlationId\`, \`causationId\` and \`time\`, and where somebody
asked for it over HTTP, \`request\`: \`ip\`, \`userAgent\` and \`route\`. Its type keeps its meaning for ever; old shapes are
lifted when they are read (eventstore/upcast.ts). All times are RFC 3339 in UTC.

${parts.join('\n')}`;
}

async function filesOf(...folders: readonly string[]): Promise<readonly string[]> {
  const lists = folders.map(async folder =>
    (await readdir(path.join(root, folder))).sort().map(file => `${folder}/${file}`),
  );
  return (await Promise.all(lists)).flat();
}

type NamedType = { readonly name: string; readonly text: string };

function printStream(
  file: string,
  category: string,
  source: string,
  events: readonly { type: string; fields: string }[],
  types: readonly NamedType[],
): string {
  const about = commentText(/^\/\*\*([\s\S]*?)\*\//.exec(source)?.[1] ?? '');
  const shapes = types.filter(({ name }) => !/(Event|Command|State)$/.test(name)).map(({ text }) => text);
  const rows = events.map(({ type, fields }) => {
    const meaning = (eventMeanings as Readonly<Record<string, string>>)[type];
    if (meaning === undefined) throw new Error(`test/support/event-meanings.ts does not know ${type}`);
    return `| \`${type}\` | ${meaning} | \`${fields.replaceAll('|', '\\|')}\` |`;
  });
  return `## \`${category}-<id>\`

${about.split('\n')[0]} (${file})

| event | meaning | data |
|---|---|---|
${rows.join('\n')}
${shapes.length === 0 ? '' : `\n\`\`\`ts\n${shapes.join('\n\n')}\n\`\`\`\n`}`;
}

const commentText = (comment: string) => comment.replace(/^\s*\*? ?/gm, '').trim();

/** The type aliases of a file, with their docstrings. */
function typesOf(source: string): readonly NamedType[] {
  const start = /^(\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?(?:export )?type (\w+)(?:<\w+>)? =/gm;
  return Array.from(source.matchAll(start), found => {
    const text = source.slice(found.index, endOfType(source, found.index + found[0].length));
    return { name: found[2] ?? '', text };
  });
}

/** Where a type ends: at the first semicolon outside of braces, or with the braces it stands in. */
function endOfType(source: string, from: number): number {
  let depth = 0;
  for (let at = from; at < source.length; at += 1) {
    const character = source[at];
    if (character === '{') depth += 1;
    else if (character === '}') depth -= 1;
    if ((character === ';' && depth === 0) || depth < 0) return at + 1;
  }
  return source.length;
}

function eventsOf(union: string): readonly { type: string; fields: string }[] {
  const starts = Array.from(union.matchAll(/\{\s*type: '(\w+)';\s*data: /g));
  return starts.map(({ 0: head, 1: type = '', index }) => {
    const from = index + head.length;
    const fields = union.slice(from, endOfType(union, from) - 1);
    return { type, fields: fields.replaceAll(/\s+/g, ' ').replaceAll(/; ?}/g, ' }').trim() };
  });
}

/** The description of all routes, as `GET /openapi.json` answers it. */
async function printOpenApi(): Promise<string> {
  const { version } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as {
    version: string;
  };
  return `${JSON.stringify(await describeApi(version), null, 2)}\n`;
}
