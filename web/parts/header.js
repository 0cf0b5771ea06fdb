/** What stands above every page: the way home, the search, and what concerns the whole page. */
import { html } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { useStore } from '../lib/store.js';
import { connection } from '../lib/stream.js';
import { nextTheme, setTheme, theme } from '../lib/theme.js';
import { Icon, Logo } from './icon.js';
import { MayButton, Why } from './may.js';
import { PastButton } from './past-bar.js';
import { PersonMenu } from './person-menu.js';

/** @param {{ search: unknown, onRegister: () => void, onHelp: () => void }} props */
export function Header({ search, onRegister, onHelp }) {
  const may = useMay('apps:write');
  return html`
    <header class="top">
      <a class="brand" href="/"><${Logo} /><span>AppHub</span></a>
      ${search}
      <div class="top-actions">
        <${MayButton} may=${may} class="primary" aria-haspopup="dialog" onClick=${onRegister}><${Icon}
          name="plus" /><span>Add app</span><//>
        <${Why} may=${may} isUnseen />
        <${PastButton} />
        <${ThemeButton} />
        <button type="button" class="bare" aria-haspopup="dialog" title="Keyboard (?)"
          aria-label="Keyboard help" onClick=${onHelp}>
          <${Icon} name="help" />
        </button>
        <${PersonMenu} />
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

/** @type {Readonly<Record<string, string>>} */
const words = {
  lost: 'Connection lost. Trying again…',
  catchingUp: 'Catching up…',
  unable: 'What you see is a few seconds old: following it needs the scope stream:read.',
};

/** Whether what is shown is the present, said where it is not. */
export function ConnectionNotice() {
  const state = useStore(connection);
  const text = words[state] ?? '';
  return html`<p class=${`connection ${text === '' ? 'unseen' : ''}`} role="status" data-state=${state}>
    ${text !== '' && state !== 'unable' && html`<span class="spinner" aria-hidden="true"></span>`}${text}
  </p>`;
}
