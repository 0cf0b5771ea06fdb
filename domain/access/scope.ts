/** Everything somebody may be allowed to do, in one table. A route, a frame of the stream and a verb each name one of these. */

export const scopeMeanings = {
  'apps:read': 'See apps, their builds, launches and logs',
  'apps:write': 'Register, change, tag and archive apps; ingest and build them',
  'apps:launch': 'Launch apps and stop launches',
  'services:read': 'See services',
  'services:write': 'Register and change services',
  'jobs:write': 'Define jobs',
  'jobs:run': 'Run jobs',
  'workflows:write': 'Define workflows and schedules',
  'workflows:run': 'Run workflows',
  'metastore:read': 'Read records',
  'metastore:write': 'Write records',
  'filestore:read': 'Read files',
  'filestore:write': 'Write files',
  'timestore:read': 'Read datasets',
  'timestore:write': 'Write datasets',
  'secrets:read': 'Use secrets',
  'secrets:write': 'Set and rotate secrets',
  'stream:read': 'Follow the event stream; of each event only what may be read otherwise',
  'keys:write': 'Make API keys of one’s own, with no more than one’s own scopes',
  'audit:read': 'See who did what and who was refused',
  'metrics:read': 'Read metrics',
  admin: 'See and end keys and sessions of others',
} as const;

export type Scope = keyof typeof scopeMeanings;

export const scopes = Object.keys(scopeMeanings) as readonly Scope[];

export const isScope = (text: string): text is Scope => Object.hasOwn(scopeMeanings, text);

const contexts = [...new Set(scopes.filter(scope => scope.includes(':')).map(scope => scope.split(':')[0]))];

/** What may be written into a credential: a scope, all scopes of a context (`apps:*`), or `*` for everything. */
export const grantable: readonly string[] = ['*', ...contexts.map(context => `${context}:*`), ...scopes];

export const isGrant = (text: string): boolean => grantable.includes(text);

/** Whether these grants hold the scope. What is not a grant, and an empty list, gives nothing. */
export function grants(granted: readonly string[], scope: Scope): boolean {
  const [context = ''] = scope.split(':');
  return granted.some(one => one === '*' || one === scope || (scope !== context && one === `${context}:*`));
}

/** Whether somebody with `granted` may give `wanted` on. */
export function covers(granted: readonly string[], wanted: readonly string[]): boolean {
  return wanted.every(one => {
    if (one === '*') return granted.includes('*');
    if (isScope(one)) return grants(granted, one);
    if (!isGrant(one)) return false;
    return scopes.filter(scope => scope.startsWith(one.slice(0, -1))).every(scope => grants(granted, scope));
  });
}

/** Whether an id is among patterns such as `shop` and `team-*`; no list at all stands for every id. */
export function isAmong(patterns: readonly string[] | null, id: string): boolean {
  if (patterns === null) return true;
  return patterns.some(pattern =>
    pattern.endsWith('*') ? id.startsWith(pattern.slice(0, -1)) : pattern === id,
  );
}

/** Whether every id among `wanted` is among `granted` too. */
export function holds(granted: readonly string[] | null, wanted: readonly string[] | null): boolean {
  if (granted === null) return true;
  if (wanted === null) return false;
  return wanted.every(one =>
    one.endsWith('*')
      ? granted.some(pattern => pattern.endsWith('*') && one.startsWith(pattern.slice(0, -1)))
      : isAmong(granted, one),
  );
}
