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

/** A page of which a file did not come, as the network changed meanwhile, stays blank: it is loaded again, a few times. */
{
  const key = 'apphub.reloads';
  const reloadsMax = 6;
  const pauseMs = 500;
  const isMissing = (/** @type {Event} */ { target }) => target instanceof HTMLScriptElement;
  const reload = () => {
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
  addEventListener('error', event => isMissing(event) && reload(), true);
  addEventListener(
    'load',
    () => document.getElementById('root')?.childElementCount && sessionStorage.removeItem(key),
  );
}
