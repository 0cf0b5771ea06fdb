/** @import { App } from '../lib/shapes.js' */

/**
 * The new list without moving what is on the screen: cards stay in their order, new ones come in where they belong.
 * @param {App[]} before
 * @param {App[]} now
 */
export function calmly(before, now) {
  const byId = new Map(now.map(app => [app.id, app]));
  const stay = before.flatMap(({ id }) => byId.get(id) ?? []);
  const wasThere = new Set(stay.map(({ id }) => id));
  for (const [at, app] of now.entries())
    if (!wasThere.has(app.id)) stay.splice(Math.min(at, stay.length), 0, app);
  return stay;
}
