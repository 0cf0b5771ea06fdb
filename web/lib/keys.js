/** Single keys that work wherever nobody is typing (WCAG 2.1.4: none of them does harm, and none is the only way). */
import { useEffect, useRef } from './html.js';

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
      if (isTyping(event.target) || document.querySelector('dialog[open]') !== null) return;
      if (latest.current(event.key)) event.preventDefault();
    };
    document.addEventListener('keydown', down);
    return () => document.removeEventListener('keydown', down);
  }, []);
}
