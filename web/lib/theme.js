/** Light or dark: as the system says, unless its reader has chosen. */
import { createStore } from './store.js';

const key = 'apphub.theme';

/** @typedef {'system' | 'light' | 'dark'} Theme */

/** @type {import('./store.js').Store<Theme>} */
export const theme = createStore(/** @type {Theme} */ (document.documentElement.dataset.theme ?? 'system'));

export const nextTheme = /** @type {const} */ ({ system: 'light', light: 'dark', dark: 'system' });

/** @param {Theme} chosen */
export function setTheme(chosen) {
  theme.set(chosen);
  if (chosen === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  try {
    if (chosen === 'system') localStorage.removeItem(key);
    else localStorage.setItem(key, chosen);
  } catch {
    // It holds for this page, then.
  }
}
