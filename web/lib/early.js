/** Runs before the first paint, so that a chosen theme never flashes into the other one. */
{
  let theme = '';
  try {
    theme = localStorage.getItem('apphub.theme') ?? '';
  } catch {
    // Storage may be forbidden; then the system's theme it is.
  }
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
}

/**
 * Whatever a page still waits for is broken off when the machine's network changes, as it does wherever a container starts beside
 * the browser. Without one of its scripts the page stays blank: it is loaded again, later each time, a few times. A style is
 * fetched again by itself, for the page may already have taken from its address what is there only once.
 */
{
  const key = 'apphub.reloads';
  const reloadsMax = 8;
  const pauseMs = 500;
  const stylesMax = 30;
  let styles = 0;
  let isLeaving = false;

  const reload = () => {
    if (isLeaving) return;
    isLeaving = true;
    let count = 0;
    try {
      count = Number(sessionStorage.getItem(key) ?? 0);
      if (count >= reloadsMax) return;
      sessionStorage.setItem(key, String(count + 1));
    } catch {
      // Nobody would count, and it might go on for ever.
      return;
    }
    setTimeout(() => location.reload(), pauseMs * (count + 1));
  };
  const fetchStyle = (/** @type {HTMLLinkElement} */ link) => {
    styles += 1;
    if (styles > stylesMax) return;
    const again = /** @type {HTMLLinkElement} */ (link.cloneNode());
    setTimeout(() => link.replaceWith(again), pauseMs);
  };

  addEventListener(
    'error',
    ({ target }) => {
      if (target instanceof HTMLScriptElement) reload();
      else if (target instanceof HTMLLinkElement && target.rel === 'stylesheet') fetchStyle(target);
    },
    true,
  );
  addEventListener(
    'load',
    () => document.getElementById('root')?.childElementCount && sessionStorage.removeItem(key),
  );
}
