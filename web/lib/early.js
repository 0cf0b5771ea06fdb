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
