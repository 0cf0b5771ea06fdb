/** Stays at the end of what grows, until its reader looks further up; and back at the end, stays there again. */
import { useRef, useState } from '../lib/html.js';

const nearEndPx = 4;
const upward = ['ArrowUp', 'PageUp', 'Home'];

/** @param {{ current: HTMLElement | null }} box what scrolls */
export function useEnd(box) {
  const [isFollowing, setFollowing] = useState(true);
  const follows = useRef(true);
  const top = useRef(0);
  const set = (/** @type {boolean} */ value) => {
    follows.current = value;
    setFollowing(value);
  };
  /** To be called after something was added. Notes where that left the box, so that it is not taken for its reader's doing. */
  const keep = () => {
    if (!follows.current || box.current === null) return;
    box.current.scrollTop = box.current.scrollHeight;
    top.current = box.current.scrollTop;
  };
  const toEnd = () => {
    set(true);
    keep();
    box.current?.focus();
  };
  const canScroll = () => box.current !== null && box.current.scrollTop > 0;
  const handlers = {
    onScroll() {
      const pre = box.current;
      if (pre === null) return;
      const isAtEnd = pre.scrollHeight - pre.scrollTop - pre.clientHeight < nearEndPx;
      if (isAtEnd && pre.scrollTop > top.current) set(true);
      else if (!isAtEnd && pre.scrollTop < top.current) set(false);
      top.current = pre.scrollTop;
    },
    // Scrolling is smooth: to wait for its first step would be to snap back under the reader's hand.
    onKeyDown: (/** @type {KeyboardEvent} */ event) =>
      upward.includes(event.key) && canScroll() && set(false),
    onWheel: (/** @type {WheelEvent} */ event) => event.deltaY < 0 && canScroll() && set(false),
  };
  return { isFollowing, keep, toEnd, handlers };
}
