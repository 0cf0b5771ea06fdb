/** The rules of the house as data, and the function that holds a folder against them. test/tidy.test.ts runs it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

type Rule = { readonly files: RegExp; readonly mayImport: RegExp };

const packages = (...names: string[]) => `(?:${names.join('|')})(?:/|$)`;
const http = ['fastify', '@fastify/[^/]+', 'typebox'];

/** A file may import what any of the rules of its path lets through. cli/ is the composition root: it may import all. */
const rules: readonly Rule[] = [
  { files: /^domain\//, mayImport: /^domain\// },
  { files: /^eventstore\//, mayImport: /^(domain|eventstore)\/|^node:/ },
  { files: /^eventstore\/esdb\.ts$/, mayImport: /^@eventstore\/db-client$/ },
  { files: /^platform\//, mayImport: /^(domain|eventstore|platform)\/|^node:/ },
  {
    files: /^platform\//,
    mayImport: new RegExp(
      `^${packages(...http, 'ajv', 'ajv-formats', 'pino', 'pg', 'knex', 'ioredis', 'bullmq', 'prom-client', 'ws')}`,
    ),
  },
  {
    files: /^platform\//,
    mayImport: new RegExp(`^${packages('cookie', 'openid-client', 'rate-limiter-flexible')}`),
  },
  { files: /^platform\/oidc\.ts$/, mayImport: new RegExp(`^${packages('openid-client', 'jose')}`) },
  {
    files: /^commands\//,
    mayImport:
      /^(domain|eventstore|commands)\/|^platform\/(auth|http|oidc|operators|preview-invite|problem|refused|sealed)\.ts$|^node:/,
  },
  { files: /^commands\/apps\//, mayImport: /^platform\/(build-secrets|mask)\.ts$/ },
  { files: /^commands\/access\//, mayImport: /^platform\/(session-cookie|token-format)\.ts$/ },
  { files: /^commands\//, mayImport: new RegExp(`^${packages(...http)}`) },
  { files: /^commands\/clock\.ts$/, mayImport: /^uuidv7$/ },
  { files: /^projections\//, mayImport: /^(domain|projections)\/|^eventstore\/store\.ts$|^(node:|knex$)/ },
  { files: /^read-api\//, mayImport: /^(domain|read-api|platform)\/|^node:/ },
  { files: /^read-api\//, mayImport: new RegExp(`^${packages(...http, 'knex')}`) },
  { files: /^read-api\/events\//, mayImport: /^eventstore\/|^ws$/ },
  // It hands the log on to read-api/events/.
  { files: /^read-api\/index\.ts$/, mayImport: /^eventstore\/store\.ts$/ },
  {
    files: /^workers\//,
    mayImport:
      /^(domain|eventstore|workers)\/|^platform\/(build-secrets|fault|log|log-store|mask|objects|metrics|sandbox-config)\.ts$/,
  },
  {
    files: /^workers\//,
    mayImport: /^platform\/(build|engines|sandbox|storage|usage|workspace)-config\.ts$/,
  },
  {
    files: /^workers\//,
    mayImport: /^commands\/(execute|clock|derive-id)\.ts$|^(node:|bullmq$|ioredis$|knex$)/,
  },
  {
    files: /^workers\/(access|adapters|index)/,
    mayImport: /^platform\/(proof\/[^/]+|secret-file|listen|audit-witness-config)\.ts$/,
  },
  { files: /^workers\/apps\/inspect\//, mayImport: /^(dockerfile-ast|yaml)$/ },
  {
    files: /^workers\/adapters\//,
    mayImport: new RegExp(
      `^${packages('dockerode', 'simple-git', '@aws-sdk/[^/]+', '@duckdb/[^/]+', 'tar-fs', 'croner')}`,
    ),
  },
  { files: /^web\//, mayImport: /^web\// },
  { files: /^web\/lib\//, mayImport: new RegExp(`^${packages('preact', 'htm')}`) },
  { files: /^cli\//, mayImport: /^(?!test\/)/ },
  { files: /^test\//, mayImport: /./ },
];

const bans: readonly { in: RegExp; what: RegExp; say: string }[] = [
  { in: /^test\//, what: /\b(test|suite|it|describe)\.(only|skip|todo)\b/, say: 'run it, or delete it' },
  { in: /^(?!test\/|cli\/)/, what: /\bconsole\./, say: 'log with platform/log.ts' },
  {
    in: /^(domain|projections)\//,
    what: /\bDate\.now|new Date\(\)|Math\.random|randomUUID/,
    say: 'time and chance come in with the command or the event',
  },
  {
    in: /^(?!commands\/execute\.ts|eventstore\/|test\/)/,
    what: /\b(store|eventStore|log)\.append\(/,
    say: 'only commands/execute.ts makes history',
  },
  { in: /^(?!test\/)/, what: /^export default\b/m, say: 'give it a name' },
  { in: /^/, what: /\/work\/(main|shared)\b/, say: 'the project knows no machine but the one it runs on' },
];

const folders = [
  'domain',
  'commands',
  'projections',
  'read-api',
  'workers',
  'web',
  'eventstore',
  'platform',
  'cli',
  'test',
];
const contexts = 'apps|services|metastore|filestore|timestore|workflows|assets|access';
const linesMax = 400;
const testLinesMax = 600;
const columnsMax = 130;
const needsTest = /^(domain|projections)\/(?!kernel\/)[^/]+\/[^/]+\.ts$/;
/** The rules themselves name what is banned. */
const itself = 'test/support/tidy-rules.ts';

export type Tidiness = { readonly files: readonly string[]; readonly violations: readonly string[] };

/** Every source file below `root`, and every sentence about what is wrong with one. */
export function checkTidy(root: string): Tidiness {
  const files = folders.flatMap(folder => filesOf(root, folder));
  const violations = files.flatMap(file => {
    const source = readFileSync(path.join(root, file), 'utf8');
    return [
      ...imports(file, source),
      ...banned(file, source),
      ...sizes(file, source),
      ...untested(root, file),
    ];
  });
  return { files, violations };
}

function filesOf(root: string, folder: string): readonly string[] {
  if (!existsSync(path.join(root, folder))) return [];
  return readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(file => /\.(ts|js|cjs|mjs)$/.test(file) && !/(^|[/\\])node_modules[/\\]/.test(file))
    .map(file => path.posix.join(folder, file.replaceAll(path.sep, '/')));
}

function* imports(file: string, source: string): Iterable<string> {
  if (file === itself) return;
  const allowed = rules.filter(({ files }) => files.test(file));
  for (const { target, isType } of importsOf(file, source)) {
    if (!allowed.some(({ mayImport }) => mayImport.test(target))) yield `${file} may not import ${target}`;
    const own = new RegExp(`^([^/]+)/(${contexts})/`).exec(file);
    const other = new RegExp(`^([^/]+)/(${contexts})/`).exec(target);
    const crosses = own !== null && other !== null && own[1] === other[1] && own[2] !== other[2];
    if (crosses && !(isType && own[1] === 'domain'))
      yield `${file} may not import ${target}: contexts meet in the log`;
  }
}

const named =
  /^(?:import|export)\s+(type\s)?(?:[\w$]+\s*,?\s*)?(?:\*(?:\s+as\s+[\w$]+)?|\{[^}]*\})?\s*from\s*'([^'\n]+)'/gm;
const bare = /^import\s*'([^'\n]+)'/gm;
const lazy = /\bimport\(\s*'([^'\n]+)'\s*\)/g;

/** Imports and re-exports, static and by `import()`, as paths from the root of the project. */
function importsOf(file: string, source: string): readonly { target: string; isType: boolean }[] {
  const found = [
    ...Array.from(source.matchAll(named), ([, type, from = '']) => ({ from, isType: type !== undefined })),
    ...Array.from(source.matchAll(bare), ([, from = '']) => ({ from, isType: false })),
    ...Array.from(source.matchAll(lazy), ([, from = '']) => ({ from, isType: false })),
  ];
  return found.map(({ from, isType }) => {
    const target = from.startsWith('.') ? path.posix.join(path.posix.dirname(file), from) : from;
    return { target, isType };
  });
}

function* banned(file: string, source: string): Iterable<string> {
  if (file === itself || file === 'test/tidy.test.ts') return;
  for (const ban of bans) {
    const found = ban.in.test(file) ? ban.what.exec(source)?.[0] : undefined;
    if (found !== undefined) yield `${file}: ${found} is banned: ${ban.say}`;
  }
}

function* sizes(file: string, source: string): Iterable<string> {
  const lines = source.split('\n');
  const most = file.startsWith('test/') ? testLinesMax : linesMax;
  if (lines.length - 1 > most) yield `${file} has more than ${most} lines`;
  for (const [at, line] of lines.entries()) {
    if (line.length > columnsMax) yield `${file}:${at + 1} is longer than ${columnsMax} columns`;
  }
}

function* untested(root: string, file: string): Iterable<string> {
  const test = `test/${file.replace(/\.ts$/, '.test.ts')}`;
  if (needsTest.test(file) && !existsSync(path.join(root, test))) yield `${file} has no ${test}`;
}
