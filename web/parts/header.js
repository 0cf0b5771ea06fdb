/** What stands above every page: the way home, the search, and what concerns the whole page. */
import { html } from '../lib/html.js';
import { signOut } from '../lib/session.js';
import { useStore } from '../lib/store.js';
import { connection } from '../lib/stream.js';
import { nextTheme, setTheme, theme } from '../lib/theme.js';
import { Icon, Logo } from './icon.js';

/** @param {{ search: unknown, onRegister: () => void, onHelp: () => void }} props */
export function Header({ search, onRegister, onHelp }) {
  return html`
    <header class="top">
      <a class="brand" href="/"><${Logo} /><span>AppHub</span></a>
      ${search}
      <div class="top-actions">
        <button type="button" class="primary" aria-haspopup="dialog" onClick=${onRegister}><${Icon}
          name="plus" /><span>Add app</span></button>
        <${ThemeButton} />
        <button type="button" class="bare" aria-haspopup="dialog" title="Keyboard (?)"
          aria-label="Keyboard help" onClick=${onHelp}>
          <${Icon} name="help" />
        </button>
        <button type="button" class="bare" title="Sign out" aria-label="Sign out" onClick=${() => signOut()}>
          <${Icon} name="out" /></button>
      </div>
    </header>
  `;
}

const themeIcons = /** @type {const} */ ({ system: 'screen', light: 'sun', dark: 'moon' });

function ThemeButton() {
  const present = useStore(theme);
  const label = `Theme: ${present === 'system' ? 'as the system' : present}. Change to ${nextTheme[present]}`;
  return html`
    <button type="button" class="bare" aria-label=${label} title=${label}
      onClick=${() => setTheme(nextTheme[present])}>
      <${Icon} name=${themeIcons[present]} />
    </button>
  `;
}

/** Whether what is shown is the present, said where it is not. */
export function ConnectionNotice() {
  const state = useStore(connection);
  const text =
    state === 'lost' ? 'Connection lost. Trying again…' : state === 'catchingUp' ? 'Catching up…' : '';
  return html`<p class=${`connection ${text === '' ? 'unseen' : ''}`} role="status" data-state=${state}>
    ${text !== '' && html`<span class="spinner" aria-hidden="true"></span>`}${text}
  </p>`;
}
