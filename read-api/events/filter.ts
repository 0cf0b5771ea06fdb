/** What one client of the stream asked to see, and what it may see. */
import type { Scope } from '../../domain/access/scope.ts';
import { everyContext, type Recorded } from '../../domain/events.ts';
import { allows, type Identity, reaches } from '../../platform/auth.ts';
import { type FieldError, invalid } from '../../platform/problem.ts';

const patternsMax = 32;
const patternCharsMax = 200;

/** Empty lists mean everything. A type may end with `*`; streams are prefixes of stream names. */
export type EventFilter = { readonly types: readonly string[]; readonly streams: readonly string[] };

/** Reads `types=BuildFailed,Launch*&streams=apps.build-`. Rejects with a Problem what cannot be meant. */
export function parseFilter(query: URLSearchParams): EventFilter {
  const errors: FieldError[] = [];
  const list = (field: string, pattern: RegExp, right: string) => {
    const parts = query
      .getAll(field)
      .flatMap(text => text.split(','))
      .map(part => part.trim())
      .filter(part => part !== '');
    const isFine = parts.every(part => part.length <= patternCharsMax && pattern.test(part));
    if (parts.length > patternsMax)
      errors.push({ field, message: `must be at most ${patternsMax} patterns` });
    else if (!isFine) errors.push({ field, message: right });
    return parts;
  };
  const types = list('types', /^[A-Za-z0-9]+\*?$|^\*$/, 'must be event types, which may end with *');
  const streams = list(
    'streams',
    /^[a-z]+[.a-zA-Z0-9-]*$/,
    'must be beginnings of stream names, like apps.build-',
  );
  if (errors.length === 0 && streams.some(prefix => prefixesOf({ types, streams: [prefix] }).length === 0)) {
    const begins = everyContext.join(' or ');
    errors.push({ field: 'streams', message: `must begin like the name of a stream there is: ${begins}` });
  }
  if (errors.length > 0) throw invalid(errors);
  return { types, streams };
}

/** The narrowest stream prefixes the log can be asked for. Never a system stream, whatever was asked. */
export function prefixesOf(filter: EventFilter): readonly string[] {
  if (filter.streams.length === 0) return everyContext;
  return filter.streams.flatMap(asked =>
    everyContext.flatMap(context => {
      if (asked.startsWith(context)) return [asked];
      return context.startsWith(asked) ? [context] : [];
    }),
  );
}

export function matches(filter: EventFilter, event: Pick<Recorded, 'type' | 'stream'>): boolean {
  const isOfType = (pattern: string) =>
    pattern.endsWith('*') ? event.type.startsWith(pattern.slice(0, -1)) : event.type === pattern;
  return (
    (filter.types.length === 0 || filter.types.some(isOfType)) &&
    (filter.streams.length === 0 || filter.streams.some(prefix => event.stream.startsWith(prefix)))
  );
}

const scopeOfContext: Readonly<Record<string, Scope>> = { apps: 'apps:read', access: 'audit:read' };

/** Who has all of these may see every event, if no app is kept from him. */
export const contextScopes: readonly Scope[] = [...new Set(Object.values(scopeOfContext))];

/** Events of a context are for those who may read that context; of one that is not listed, for administrators. */
export function maySee(identity: Identity, event: Pick<Recorded, 'stream' | 'data'>): boolean {
  const [context = ''] = event.stream.split('.');
  if (!allows(identity, scopeOfContext[context] ?? 'admin')) return false;
  return 'appId' in event.data ? reaches(identity, event.data.appId) : identity.apps === null;
}
