/** A key just after it was made: the only time it can be seen. */
import { say } from '../lib/announce.js';
import { html, useEffect, useRef } from '../lib/html.js';
import { Icon } from '../parts/icon.js';

/** @param {{ name: string, secret: string, onDone: () => void }} props */
export function ShownOnce({ name, secret, onDone }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  // After the dialog it came from, which gives the focus back to its button.
  useEffect(() => {
    const frame = requestAnimationFrame(() => box.current?.focus());
    return () => cancelAnimationFrame(frame);
  }, []);
  const copy = async () => {
    await navigator.clipboard.writeText(secret);
    say('The key is copied');
  };
  // Only pages that came over HTTPS or from this machine may use the clipboard.
  const canCopy = navigator.clipboard !== undefined;
  return html`
    <div ref=${box} class="shown-once" tabindex="-1" role="group" aria-labelledby="once-title" aria-describedby="once-why">
      <h3 id="once-title">The key ${name}</h3>
      <p id="once-why"><${Icon} name="warn" /> Copy it now: it is kept nowhere and never shown again.</p>
      <pre class="log" tabindex="0" aria-label="The key"><code>${secret}</code></pre>
      <div class="actions">
        ${canCopy && html`<button type="button" class="primary small" onClick=${() => void copy()}>Copy the key</button>`}
        <button type="button" class="small" onClick=${onDone}>Done, hide it</button>
      </div>
    </div>
  `;
}
