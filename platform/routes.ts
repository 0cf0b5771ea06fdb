/** Which methods there are for a path, so that a wrong method is told from a wrong address (RFC 9110 15.5.6). */
import type { FastifyInstance } from 'fastify';

export type KnownRoutes = {
  /** In the order of the alphabet; empty for a path that is not known at all. */
  methodsOf(path: string): readonly string[];
};

/** Call before the first route is registered. Costs a look at every pattern, so it is only asked when nothing fits. */
export function knowRoutes(app: FastifyInstance): KnownRoutes {
  const known = new Map<string, { pattern: RegExp; methods: Set<string> }>();
  app.addHook('onRoute', ({ url, method }) => {
    const route = known.get(url) ?? { pattern: patternOf(url), methods: new Set() };
    for (const one of [method].flat()) route.methods.add(one);
    known.set(url, route);
  });
  return {
    methodsOf(path) {
      const fitting = [...known.values()].filter(({ pattern }) => pattern.test(path));
      return [...new Set(fitting.flatMap(({ methods }) => [...methods]))].sort();
    },
  };
}

/** `/apps/:appId/*` as a regular expression. */
function patternOf(url: string): RegExp {
  const parts = url.split('/').map(part => {
    if (part === '*') return '.*';
    return part.startsWith(':') ? '[^/]+' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${parts.join('/')}$`);
}
