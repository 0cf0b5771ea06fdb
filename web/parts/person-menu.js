/** Who is signed in, and what concerns him: a menu button (WAI-ARIA APG). */
import { html, useId, useLayoutEffect, useRef, useState } from '../lib/html.js';
import { useMay, useWho } from '../lib/identity.js';
import { go } from '../lib/router.js';
import { signOut } from '../lib/session.js';
import { useAction } from '../lib/use.js';
import { Icon } from './icon.js';

export function PersonMenu() {
  const who = useWho();
  const name = who.name ?? who.subject;
  const mayAudit = useMay('audit:read');
  const mayTables = useMay('metrics:read');
  const leave = useAction(signOut);
  const { isOpen, box, button, toggle, close, keys } = useMenu();
  const menuId = useId();
  const visit = (/** @type {string} */ url) => {
    close();
    go(url);
  };
  return html`
    <div class="person" ref=${box} onKeyDown=${keys}>
      <button type="button" ref=${button} class="bare" aria-haspopup="menu" aria-expanded=${isOpen ? 'true' : 'false'}
        aria-controls=${isOpen ? menuId : undefined} aria-label=${`Signed in as ${name}`} title=${`Signed in as ${name}`}
        onClick=${toggle}><${Icon} name="person" /><span class="person-name">${name}</span></button>
      ${
        isOpen &&
        html`
        <ul id=${menuId} class="menu" role="menu" aria-label=${name}>
          <${Item} icon="key" onChoose=${() => visit('/access')}>Access: keys and sessions<//>
          <${Item} icon="clock" onChoose=${() => visit('/access/usage')}>Usage: what launches used<//>
          <${Item} icon="eye" why=${mayAudit.why} onChoose=${() => visit('/access/audit')}>Audit: who did what<//>
          <${Item} icon="list" why=${mayTables.why} onChoose=${() => visit('/tables')}>Tables: made anew and watched<//>
          <${Item} icon="out" onChoose=${() => leave.run()}>Sign out<//>
        </ul>
      `
      }
    </div>
  `;
}

/** @param {{ icon: string, why?: string, onChoose: () => void, children?: unknown }} props */
function Item({ icon, why = '', onChoose, children }) {
  return html`
    <li role="none">
      <button type="button" role="menuitem" tabindex="-1" aria-disabled=${why !== '' ? 'true' : undefined}
        data-refused=${why !== ''} onClick=${() => why === '' && onChoose()}>
        <${Icon} name=${icon} /><span>${children}${why !== '' && html`<span class="why">${why}</span>`}</span>
      </button>
    </li>
  `;
}

/** Opens with the focus on the first item, closes on Escape, Tab and a press elsewhere. */
function useMenu() {
  const [isOpen, setOpen] = useState(false);
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const button = useRef(/** @type {HTMLButtonElement | null} */ (null));
  const items = () =>
    /** @type {HTMLElement[]} */ ([...(box.current?.querySelectorAll('[role=menuitem]') ?? [])]);
  const close = () => setOpen(false);
  // Before the next key is pressed.
  useLayoutEffect(() => {
    if (!isOpen) return undefined;
    items()[0]?.focus();
    const elsewhere = (/** @type {Event} */ event) =>
      !(event.target instanceof Node && box.current?.contains(event.target)) && close();
    document.addEventListener('pointerdown', elsewhere);
    return () => document.removeEventListener('pointerdown', elsewhere);
  }, [isOpen]);
  const keys = (/** @type {KeyboardEvent} */ event) => {
    const all = items();
    const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const { key } = event;
    if (!isOpen) {
      if (key !== 'ArrowDown') return;
      setOpen(true);
    } else if (key === 'ArrowDown') all[(at + 1) % all.length]?.focus();
    else if (key === 'ArrowUp') all.at(at - 1)?.focus();
    else if (key === 'Home') all[0]?.focus();
    else if (key === 'End') all.at(-1)?.focus();
    else if (key === 'Escape') {
      close();
      button.current?.focus();
    } else if (key === 'Tab') return close();
    else return;
    event.preventDefault();
    // Single keys of the page are not meant.
    event.stopPropagation();
  };
  return { isOpen, box, button, toggle: () => setOpen(!isOpen), close, keys };
}
