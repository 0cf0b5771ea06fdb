/** Small hooks that many parts need. */
import { useEffect, useRef, useState } from './html.js';

/** The title of the window while a component is shown. @param {string} title */
export function useTitle(title) {
  useEffect(() => {
    document.title = title === '' ? 'AppHub' : `${title} · AppHub`;
  }, [title]);
}

/**
 * The present time, kept up every so many milliseconds while `isOn`.
 * @param {number} everyMs
 * @param {boolean} [isOn]
 */
export function useNow(everyMs, isOn = true) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!isOn) return undefined;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs, isOn]);
  return now;
}

/**
 * A write that a button starts: not twice at a time, and its refusal is there to be shown.
 * @template {unknown[]} A @param {(...args: A) => Promise<unknown>} act
 */
export function useAction(act) {
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState(/** @type {Error | undefined} */ (undefined));
  const running = useRef(false);
  const run = async (/** @type {A} */ ...args) => {
    if (running.current) return;
    running.current = true;
    setBusy(true);
    setProblem(undefined);
    try {
      await act(...args);
    } catch (error) {
      setProblem(/** @type {Error} */ (error));
    }
    running.current = false;
    setBusy(false);
  };
  return { run, isBusy, problem, forget: () => setProblem(undefined) };
}
