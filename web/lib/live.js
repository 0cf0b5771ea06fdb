/**
 * Reads that stay true. A read is made again when an event says that its answer has changed, with the position of that event,
 * and never more often than the API can bear: events that come while one is under way share the next one.
 */
import { isAbort } from './api.js';
import { useEffect, useRef, useState } from './html.js';
import { usePast } from './past.js';
import { connection, onBeat, onEvent, onFirstOpen } from './stream.js';

/** @import { LogEvent } from './shapes.js' */

const gapMs = 250;

/**
 * @template T
 * @typedef {{ value: T | undefined, error: Error | undefined, isStale: boolean, reload(): void }} Live
 */

/**
 * @template T
 * @typedef {object} Read
 * @property {(options: { after?: string | undefined, signal: AbortSignal }) => Promise<T>} load
 * @property {(event: LogEvent) => boolean} isAbout whether an event changes the answer
 * @property {T | undefined} [first] what is shown until the first answer
 * @property {number} [everyMs] the shortest time between two reads
 */

/**
 * What `load` answers, read again whenever `isAbout` holds for an event, and from the start when `name` changes,
 * or the time that is looked at. What was does not change any more.
 * @template T @param {string} name @param {Read<T>} read @returns {Live<T>}
 */
export function useLive(name, read) {
  const { asOf } = usePast();
  const key = asOf === '' ? name : `${name} as of ${asOf}`;
  // What is remembered of now is no beginning for what was.
  const first = asOf === '' ? read.first : undefined;
  const [state, setState] = useState({
    key,
    value: first,
    error: /** @type {Error | undefined} */ (undefined),
  });
  const latest = useRef(read);
  latest.current = read;
  const reload = useRef(() => {});

  useEffect(() => {
    const run = repeatedly(latest, {
      onValue: value => setState({ key, value, error: undefined }),
      // What was there stays to be seen; only an answer that says "gone" takes it away.
      onError: error => setState(old => ({ key, value: old.key === key ? old.value : undefined, error })),
    });
    reload.current = () => run.want(undefined, true);
    const leave = [onBeat(run.repair)];
    if (asOf === '') {
      leave.push(onEvent(event => latest.current.isAbout(event) && run.want(event.position)));
      leave.push(onFirstOpen(position => run.want(position)));
    }
    run.want(undefined, true);
    return () => {
      for (const one of leave) one();
      run.stop();
    };
  }, [key]);

  const isMine = state.key === key;
  return {
    value: isMine ? state.value : first,
    error: isMine ? state.error : undefined,
    isStale: !isMine,
    reload: () => reload.current(),
  };
}

/**
 * One read at a time, and a pause between two.
 * @template T @param {{ current: Read<T> }} read
 * @param {{ onValue(value: T): void, onError(error: Error): void }} heard
 */
function repeatedly(read, { onValue, onError }) {
  const gone = new AbortController();
  let isBusy = false;
  let isWanted = false;
  let hasFailed = false;
  /** @type {string | undefined} */
  let after;
  let endedAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  const run = async () => {
    timer = undefined;
    isBusy = true;
    isWanted = false;
    try {
      const value = await read.current.load({ after, signal: gone.signal });
      hasFailed = false;
      if (!gone.signal.aborted) onValue(value);
    } catch (error) {
      hasFailed = true;
      if (!gone.signal.aborted && !isAbort(error)) onError(/** @type {Error} */ (error));
    }
    isBusy = false;
    endedAt = performance.now();
    if (isWanted) plan();
  };
  const plan = (isNow = false) => {
    if (gone.signal.aborted || isBusy) return;
    const waitMs = isNow ? 0 : endedAt + (read.current.everyMs ?? gapMs) - performance.now();
    if (waitMs <= 0) {
      clearTimeout(timer);
      void run();
    } else if (timer === undefined) timer = setTimeout(run, waitMs);
  };
  return {
    /** @param {string | undefined} position @param {boolean} [isNow] */
    want(position, isNow) {
      if (position !== undefined && (after === undefined || BigInt(position) > BigInt(after)))
        after = position;
      isWanted = true;
      plan(isNow);
    },
    /** Once the server is there again, what could not be read is read; and what nobody tells of is looked at again. */
    repair() {
      if ((hasFailed || connection.get() === 'unable') && !isBusy) plan(true);
    },
    stop() {
      clearTimeout(timer);
      gone.abort();
    },
  };
}
