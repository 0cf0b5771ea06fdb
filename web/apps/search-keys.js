/** Arrow keys among cards: to the next one in that direction, as they lie on the screen. */

const directions = /** @type {const} */ ({
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
});

/** For onKeyDown of the list. Tab goes through everything; the arrows only from card to card. @param {KeyboardEvent} event */
export function moveAmongCards(event) {
  const { target, currentTarget } = event;
  if (!(target instanceof HTMLElement) || !(currentTarget instanceof HTMLElement)) return;
  if (
    !(event.key in directions) ||
    event.altKey ||
    event.ctrlKey ||
    event.metaKey ||
    target.dataset.app === undefined
  )
    return;
  const [x, y] = directions[/** @type {keyof typeof directions} */ (event.key)];
  const links = /** @type {HTMLElement[]} */ ([...currentTarget.querySelectorAll('a[data-app]')]);
  const boxOf = (/** @type {HTMLElement} */ link) => (link.closest('li') ?? link).getBoundingClientRect();
  const from = boxOf(target);
  let best;
  let bestCost = Infinity;
  for (const link of links) {
    if (link === target) continue;
    const box = boxOf(link);
    const ahead = (box.left - from.left) * x + (box.top - from.top) * y;
    const aside = Math.abs((box.left - from.left) * y) + Math.abs((box.top - from.top) * x);
    // Right and left also lead to the next and the last row, as one reads.
    if (ahead <= 1) continue;
    const cost = ahead + 3 * aside;
    if (cost < bestCost) [best, bestCost] = [link, cost];
  }
  if (best === undefined && x !== 0) best = links[links.indexOf(target) + x];
  if (x !== 0 && best !== undefined && Math.abs(boxOf(best).top - from.top) > 1)
    best = links[links.indexOf(target) + x];
  if (best === undefined) return;
  event.preventDefault();
  best.focus();
}
