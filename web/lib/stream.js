/**
 * The one WebSocket of the page. It says what has happened since the position it last saw, through breaks of the connection
 * and restarts of the server, so that nobody has to poll. Parts of the page listen with `onEvent`.
 */
import { askIdentity } from './api.js';
import { may, session } from './identity.js';
import { createStore } from './store.js';

/** @import { LogEvent } from './shapes.js' */

const retryMsMin = 250;
const retryMsMax = 10_000;
/** The server beats every 15 s; two and a bit without a sound mean that nobody is there. */
const silenceMsMax = 35_000;
const lookMs = 5_000;

/**
 * `unable`: who is signed in may not follow the stream, so the page has to look again and again.
 * @type {import('./store.js').Store<'off' | 'unable' | 'connecting' | 'live' | 'lost' | 'catchingUp'>}
 */
export const connection = createStore(/** @type {any} */ ('off'));

/** @type {Set<(event: LogEvent) => void>} */
const listeners = new Set();
/** @type {Set<(position: string) => void>} */
const openings = new Set();
/** @type {Set<() => void>} */
const beats = new Set();

/** @template T @param {Set<T>} to @param {T} listener */
const join = (to, listener) => {
  to.add(listener);
  return () => void to.delete(listener);
};

/** Calls back for each event. Answers the function that ends it. @param {(event: LogEvent) => void} listener */
export const onEvent = listener => join(listeners, listener);
/** Calls back when the stream stands for the first time: what was read before may lack what happened meanwhile. */
export const onFirstOpen = (/** @type {(position: string) => void} */ listener) => join(openings, listener);
/** Calls back when the connection stands again, and every 15 seconds while it does. */
export const onBeat = (/** @type {() => void} */ listener) => join(beats, listener);

/** Whose stream it is: the id of his session; '' while nobody is signed in. */
let follower = '';
/** Where the stream goes on; '' before the first frame. */
let position = '';
let failures = 0;
let heardAt = 0;
/** @type {WebSocket | undefined} */
let socket;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

function connect() {
  clearTimeout(timer);
  if (follower === '' || socket !== undefined) return;
  if (!may('stream:read')) return connection.set('unable');
  if (connection.get() === 'off') connection.set('connecting');
  const url = new URL('/stream', location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.searchParams.set('streams', may('audit:read') ? 'apps.,access.' : 'apps.');
  if (position !== '') url.searchParams.set('from', position);
  const opened = new WebSocket(url, ['apphub']);
  socket = opened;
  heardAt = Date.now();
  let isOpen = false;
  opened.onopen = () => {
    isOpen = true;
    failures = 0;
    heardAt = Date.now();
    if (position !== '') connection.set('catchingUp');
  };
  opened.onmessage = ({ data }) => {
    if (socket !== opened) return;
    heardAt = Date.now();
    take(JSON.parse(data));
  };
  opened.onclose = () => {
    if (socket !== opened) return;
    socket = undefined;
    void lost(isOpen);
  };
}

/** @param {{ kind: string, position?: string, event?: LogEvent }} frame */
function take(frame) {
  if (frame.kind === 'event' && frame.event !== undefined) {
    position = frame.event.position;
    for (const listener of [...listeners]) listener(frame.event);
    return;
  }
  const isFirst = position === '';
  if (frame.position !== undefined && frame.position !== '0') position = frame.position;
  if (frame.kind === 'heartbeat') for (const listener of [...beats]) listener();
  if (frame.kind !== 'caughtUp' || connection.get() === 'live') return;
  const wasFirst = connection.get() === 'connecting';
  connection.set('live');
  if (wasFirst || isFirst) for (const listener of [...openings]) listener(position || '0');
  for (const listener of [...beats]) listener();
}

/** @param {boolean} wasOpen */
async function lost(wasOpen) {
  if (follower === '') return;
  connection.set('lost');
  failures += 1;
  // A session that has ended and a server that is down look the same to a WebSocket.
  if (!wasOpen && failures > 1) await askIdentity().catch(() => undefined);
  if (follower === '') return;
  const waitMs = Math.min(retryMsMax, retryMsMin * 2 ** (failures - 1));
  clearTimeout(timer);
  timer = setTimeout(connect, waitMs * (0.75 + Math.random() / 2));
}

/** Tries at once, when there is a reason to think that it works again. */
function reconnect() {
  if (connection.get() === 'lost') connect();
}

function close() {
  clearTimeout(timer);
  const open = socket;
  socket = undefined;
  open?.close();
  position = '';
  failures = 0;
  connection.set('off');
}

/** Follows the log from now on, for whoever is signed in. */
export function startStream() {
  session.watch(({ state, who }) => {
    const next = state === 'in' ? (who?.credentialId ?? '') : '';
    if (next === follower) return;
    close();
    follower = next;
    connect();
  });
  addEventListener('online', reconnect);
  document.addEventListener('visibilitychange', () => !document.hidden && reconnect());
  setInterval(() => {
    if (socket !== undefined && Date.now() - heardAt > silenceMsMax) socket.close();
    // Whoever may not follow looks at the same places again and again.
    if (connection.get() === 'unable' && !document.hidden) for (const listener of [...beats]) listener();
  }, lookMs);
}
