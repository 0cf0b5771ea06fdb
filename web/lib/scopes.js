/** What somebody may be allowed to do, in the words of domain/access/scope.ts; a test holds the two together. All of it pure. */

/** @type {Readonly<Record<string, string>>} */
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
};

/**
 * Whether these grants, which may be `*` or like `apps:*`, hold the scope.
 * @param {readonly string[]} granted
 * @param {string} scope
 */
export function grants(granted, scope) {
  const [context = ''] = scope.split(':');
  return granted.some(one => one === '*' || one === scope || (scope !== context && one === `${context}:*`));
}

/**
 * Whether an id is among patterns such as `shop` and `team-*`; null stands for every id.
 * @param {readonly string[] | null} patterns
 * @param {string} id
 */
export const isAmong = (patterns, id) =>
  patterns === null ||
  patterns.some(pattern => (pattern.endsWith('*') ? id.startsWith(pattern.slice(0, -1)) : pattern === id));

/**
 * The scopes that these grants hold, by context.
 * @param {readonly string[]} granted
 * @returns {[context: string, scopes: string[]][]}
 */
export function scopesByContext(granted) {
  const held = Object.keys(scopeMeanings).filter(scope => grants(granted, scope));
  return [...Map.groupBy(held, scope => scope.split(':')[0] ?? scope)];
}
