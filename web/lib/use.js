/** Small hooks that many parts need. */
import { say } from './announce.js';
import { useEffect, useLayoutEffect, useRef, useState } from './html.js';
import { usePast } from './past.js';

/** The title of the window while a component is shown. @param {string} title */
export function useTitle(title) {
  useEffect(() => {
    document.title = title === '' ? 'AppHub' : `${title} · AppHub`;
  }, [title]);
}

/**
 * The present time, kept up every so many milliseconds while `isOnNow`.
 * @param {number} everyMs
 * @param {boolean} [isOnNow]
 */
export function useNow(everyMs, isOnNow = true) {
  const { asOf, at } = usePast();
  const isOn = isOnNow && asOf === '';
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!isOn) return undefined;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs, isOn]);
  // Whoever looks back sees how long ago it was then.
  return asOf !== '' && at !== '' ? Date.parse(at) : now;
}

/** Says it, for those who do not see it, when the text becomes another one. @param {string | undefined} text */
export function useSpoken(text) {
  const before = useRef(/** @type {string | undefined} */ (undefined));
  useEffect(() => {
    if (before.current !== undefined && text !== undefined && text !== '' && before.current !== text)
      say(text);
    before.current = text;
  }, [text]);
}

/**
 * When what has the focus goes away with a change of its box, the focus goes to what `next` finds in the box, not to the top
 * of the page. The component that calls it must be the one whose change takes things away.
 * @param {{ current: HTMLElement | null }} box
 * @param {string} next a selector
 */
export function useKeptFocus(box, next) {
  // As it is before this change reaches the document.
  const had = box.current?.contains(document.activeElement) === true;
  useLayoutEffect(() => {
    const isLost = document.activeElement === null || document.activeElement === document.body;
    if (!had || !isLost) return;
    const found = box.current?.querySelector(next);
    if (found instanceof HTMLElement) found.focus({ preventScroll: true });
  });
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
