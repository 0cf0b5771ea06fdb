/** Keys among cards: left and right as one reads, up and down as they lie on the screen, Home and End to the edges. */

/**
 * For onKeyDown of the list. Tab goes through everything; these only from card to card.
 * @param {KeyboardEvent} event
 */
export function moveAmongCards(event) {
  const { target, currentTarget, key } = event;
  if (!(target instanceof HTMLElement) || !(currentTarget instanceof HTMLElement)) return;
  if (event.altKey || event.ctrlKey || event.metaKey || target.dataset.app === undefined) return;
  const links = /** @type {HTMLElement[]} */ ([...currentTarget.querySelectorAll('a[data-app]')]);
  const at = links.indexOf(target);
  const next = nextOf(key, links, at);
  if (next === undefined) return;
  event.preventDefault();
  next.focus();
}

/** @param {string} key @param {HTMLElement[]} links @param {number} at */
function nextOf(key, links, at) {
  if (key === 'ArrowLeft') return links[at - 1];
  if (key === 'ArrowRight') return links[at + 1];
  if (key === 'Home') return links[0];
  if (key === 'End') return links.at(-1);
  if (key === 'ArrowDown') return nearest(links.slice(at + 1), links[at]);
  if (key === 'ArrowUp') return nearest(links.slice(0, at).reverse(), links[at]);
  return undefined;
}

/**
 * Of the cards in other rows, nearest first, the first in the same column.
 * @param {HTMLElement[]} links
 * @param {HTMLElement | undefined} from
 */
function nearest(links, from) {
  const boxOf = (/** @type {Element | undefined} */ link) =>
    link?.closest('li')?.getBoundingClientRect() ?? new DOMRect();
  const { left, top } = boxOf(from);
  const others = links.filter(link => Math.abs(boxOf(link).top - top) > 1);
  return others.find(link => Math.abs(boxOf(link).left - left) < 1) ?? others[0];
}
