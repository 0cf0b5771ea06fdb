/** Single keys that work wherever nobody is typing, and that can be turned off (WCAG 2.2, 2.1.4). None is the only way. */
import { useEffect, useRef } from './html.js';
import { createStore } from './store.js';

const key = 'apphub.keys';

/** Whether single keys work. */
export const areKeysOn = createStore(restore());

function restore() {
  try {
    return localStorage.getItem(key) !== 'off';
  } catch {
    return true;
  }
}

/** @param {boolean} isOn */
export function turnKeys(isOn) {
  areKeysOn.set(isOn);
  try {
    if (isOn) localStorage.removeItem(key);
    else localStorage.setItem(key, 'off');
  } catch {
    // It holds for this page, then.
  }
}

/** @param {EventTarget | null} target */
const isTyping = target =>
  target instanceof HTMLElement &&
  (target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName));

/** @param {(key: string) => boolean} press answers whether it was its key */
export function useKeys(press) {
  const latest = useRef(press);
  latest.current = press;
  useEffect(() => {
    const down = (/** @type {KeyboardEvent} */ event) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing)
        return;
      if (!areKeysOn.get() || isTyping(event.target) || document.querySelector('dialog[open]') !== null)
        return;
      if (latest.current(event.key)) event.preventDefault();
    };
    document.addEventListener('keydown', down);
    return () => document.removeEventListener('keydown', down);
  }, []);
}
