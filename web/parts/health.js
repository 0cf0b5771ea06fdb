/** What AppHub leans on, said only where something is missing or behind. */
import { getJson } from '../lib/api.js';
import { html, useEffect } from '../lib/html.js';
import { usePast } from '../lib/past.js';
import { createStore, useStore } from '../lib/store.js';
import { connection, onBeat } from '../lib/stream.js';
import { Icon } from './icon.js';

/** @import { Health } from '../lib/shapes.js' */

/** What the last look said. */
const health = createStore(/** @type {Health | undefined} */ (undefined));
const lookMs = 60_000;
const lagSecondsShown = 5;
let lookedAt = -Infinity;

/** Looks when the stream beats, once a minute at most; more often while something is wrong. */
async function look() {
  const isFine = health.get()?.status === 'ready';
  if (document.hidden || performance.now() - lookedAt < (isFine ? lookMs : lookMs / 4 - 1_000)) return;
  lookedAt = performance.now();
  const answer = await getJson('/readyz').catch(() => undefined);
  if (answer !== undefined) health.set(answer);
}

/** The Docker engine's state by the last look: undefined while nobody has looked. */
export const useDocker = () => useStore(health)?.checks?.docker;

export function HealthNotice() {
  const state = useStore(health);
  const { asOf } = usePast();
  const isLive = useStore(connection) === 'live';
  useEffect(() => onBeat(() => void look()), []);
  // A server that has come back may stand on other feet.
  useEffect(() => {
    lookedAt = -Infinity;
    if (isLive) void look();
  }, [isLive]);
  const sentences = sentencesOf(state);
  // How it is now is no matter of how it was.
  if (sentences.length === 0 || asOf !== '') return null;
  return html`
    <aside class="health" aria-label="State of AppHub">
      <${Icon} name="warn" />
      <ul role="list">${sentences.map(sentence => html`<li key=${sentence}>${sentence}</li>`)}</ul>
    </aside>
  `;
}

/** @param {Health | undefined} state */
function sentencesOf(state) {
  const { docker, redis, log, database, projections } = state?.checks ?? {};
  const engines = Object.entries(state?.checks ?? {}).map(
    ([name, { ok, reason }]) =>
      name.startsWith('engine ') && !ok && `The ${name} is away, others go on: ${reason}`,
  );
  const lag = Math.max(0, ...(state?.projections ?? []).map(({ lagSeconds }) => lagSeconds));
  return [
    ...engines,
    docker?.ok === false &&
      `Builds and launches wait: ${docker.reason ?? 'the Docker engine does not answer.'}`,
    redis?.ok === false && `Redis: ${redis.reason}. Work goes on more slowly.`,
    log?.ok === false && `Event log: ${log.reason}`,
    database?.ok === false && `Database: ${database.reason}`,
    projections?.ok === false && `Tables: ${projections.reason}`,
    lag > lagSecondsShown && `What you see may be ${Math.round(lag)} s old.`,
  ].filter(sentence => typeof sentence === 'string');
}
