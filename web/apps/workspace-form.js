/** Making a workspace, copying one, and changing what it is called or may hold: a name and an amount. */
import { Problem, randomKey } from '../lib/api.js';
import { html, useRef, useState } from '../lib/html.js';
import { useAction } from '../lib/use.js';
import { Dialog } from '../parts/dialog.js';
import { Choice, Field, focusFirstWrong } from '../parts/field.js';
import { ProblemBox } from '../parts/problem.js';
import { sizesWith } from './workspace-words.js';

/**
 * @param {{ title: string, verb: string, name?: string, bytesMax: number, onClose: () => void, children?: unknown,
 *   onSend: (body: { name: string, bytesMax: number }, key: string) => Promise<void> }} props
 */
export function WorkspaceForm({ title, verb, name: first = '', bytesMax: room, onClose, onSend, children }) {
  const [name, setName] = useState(first);
  const [bytesMax, setRoom] = useState(room);
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const sent = useRef({ text: '', key: '' });
  const send = useAction(async () => {
    const body = { name, bytesMax };
    const text = JSON.stringify(body);
    if (sent.current.text !== text) sent.current = { text, key: randomKey() };
    try {
      await onSend(body, sent.current.key);
      onClose();
    } catch (error) {
      requestAnimationFrame(() => focusFirstWrong(form.current));
      throw error;
    }
  });
  const errors = new Map(
    send.problem instanceof Problem ? send.problem.errors.map(({ field, message }) => [field, message]) : [],
  );
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void send.run();
  };
  return html`
    <${Dialog} title=${title} onClose=${onClose}>
      <form ref=${form} onSubmit=${submit} novalidate>
        ${send.problem && !errors.has('name') && html`<${ProblemBox} error=${send.problem} />`}
        ${children}
        <${Field} name="name" label="Name" required isFirst value=${name} onInput=${setName}
          error=${errors.has('name') ? 'Use one line, with something to read in it.' : undefined} />
        <${Choice} label="May hold" value=${bytesMax} options=${sizesWith(room)}
          onChoose=${(/** @type {string} */ text) => setRoom(Number(text))} />
        <footer>
          <button type="button" onClick=${onClose}>Cancel</button>
          <button class="primary" aria-disabled=${send.isBusy}>${verb}</button>
        </footer>
      </form>
    <//>
  `;
}
