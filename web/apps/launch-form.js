/** How an app is to be launched: its environment, its size, who may visit it, when it sleeps and when it stops. */
import { getJson, Problem, randomKey } from '../lib/api.js';
import { bytesOf, spanOf } from '../lib/format.js';
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { useAction } from '../lib/use.js';
import { Dialog } from '../parts/dialog.js';
import { Choice, Field, focusFirstWrong, Radios } from '../parts/field.js';
import { Icon } from '../parts/icon.js';
import { ProblemBox } from '../parts/problem.js';
import { Env, newRow, sentRows, wrongRows } from './launch-env.js';
import { idleTimes, times } from './launch-times.js';
import { WorkspaceChoice } from './workspace-choice.js';

/** @import { App, Launch, LaunchOptions } from '../lib/shapes.js' */

const accesses = [
  ['private', 'Private', 'Those who may see the app here, and those you give a link.'],
  ['public', 'Public', 'Everybody who has its address, with no question asked.'],
];
const restarts = [
  ['on-failure', 'Start it again, later each time'],
  ['no', 'Leave it'],
];
/** What the server says of these is put in words of people. @type {Readonly<Record<string, string>>} */
const rules = {
  port: 'Use a whole number from 1 to 65535.',
  healthPath: 'Begin with a slash, and use no spaces.',
};

/**
 * @typedef {object} Form
 * @property {import('./launch-env.js').Row[]} rows
 * @property {string} resourceProfile
 * @property {string} ttlSeconds
 * @property {string} access
 * @property {string} idle '' as is usual here, 'never', or seconds
 * @property {string} restart
 * @property {string} healthPath
 * @property {string} port
 * @property {string} workspaceId '' for none
 */

/**
 * What stands in the form at first: what is usual, or how another launch was made.
 * @param {Launch | undefined} like
 * @returns {Form}
 */
const formOf = like => ({
  rows: [...(like?.env ?? []).map(newRow), ...(like && like.env.length > 0 ? [] : [newRow()])],
  resourceProfile: like?.resourceProfile ?? 'small',
  ttlSeconds: '3600',
  access: like?.access ?? 'private',
  idle: like === undefined ? '' : String(like.idleSeconds ?? 'never'),
  restart: like?.restart ?? 'on-failure',
  healthPath: like?.healthPath ?? '',
  port: '',
  workspaceId: '',
});

/** @param {Form} form */
function bodyOf({ rows, resourceProfile, ttlSeconds, access, idle, restart, healthPath, port, workspaceId }) {
  return {
    ...(workspaceId === '' ? {} : { workspaceId }),
    env: sentRows(rows).map(({ key, value }) => ({ key, value })),
    resourceProfile,
    ttlSeconds: Number(ttlSeconds),
    access,
    restart,
    ...(idle === '' ? {} : { idleSeconds: idle === 'never' ? null : Number(idle) }),
    ...(healthPath.trim() === '' ? {} : { healthPath: healthPath.trim() }),
    // What is no number is for the server to refuse.
    ...(port.trim() === '' ? {} : { port: Number(port) || port.trim() }),
  };
}

/**
 * Nothing of it is kept in the browser. `like`: a launch to be made once more.
 * @param {{ app: App, like?: Launch, onClose: () => void,
 *   onLaunch: (appId: string, body: object, key?: string) => Promise<void> }} props
 */
export function LaunchDialog({ app, like, onClose, onLaunch }) {
  const [form, setForm] = useState(() => formOf(like));
  const box = useRef(/** @type {HTMLFormElement | null} */ (null));
  const sent = useRef({ body: '', key: '' });
  const options = useLaunchOptions();
  const set = (/** @type {Partial<Form>} */ changes) => setForm(before => ({ ...before, ...changes }));
  const launch = useAction(async () => {
    const body = bodyOf(form);
    const text = JSON.stringify(body);
    if (sent.current.body !== text) sent.current = { body: text, key: randomKey() };
    try {
      await onLaunch(app.id, body, sent.current.key);
      onClose();
    } catch (error) {
      requestAnimationFrame(() => focusFirstWrong(box.current));
      throw error;
    }
  });
  const wrong = wrongIn(launch.problem, form);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void launch.run();
  };
  return html`
    <${Dialog} title=${`Launch ${app.name}${like === undefined ? '' : ' again'}`} onClose=${onClose} wide>
      <form ref=${box} onSubmit=${submit} novalidate>
        ${launch.problem && wrong.size === 0 && html`<${ProblemBox} error=${launch.problem} />`}
        <${Env} rows=${form.rows} wrong=${wrong} onRows=${(/** @type {Form['rows']} */ rows) => set({ rows })} />
        <${Radios} legend="Who may visit it" name="access" value=${form.access} options=${accesses}
          onChoose=${(/** @type {string} */ access) => set({ access })} />
        <div class="pair">
          <${Choice} label="Size" value=${form.resourceProfile} options=${sizesOf(options)}
            onChoose=${(/** @type {string} */ resourceProfile) => set({ resourceProfile })} />
          <${Choice} label="Stops after" value=${form.ttlSeconds} options=${times}
            onChoose=${(/** @type {string} */ ttlSeconds) => set({ ttlSeconds })} />
          <${Choice} label="Sleeps when unvisited for" value=${form.idle} options=${idlesOf(options, form.idle)}
            onChoose=${(/** @type {string} */ idle) => set({ idle })} />
          <${Choice} label="When it fails" value=${form.restart} options=${restarts}
            onChoose=${(/** @type {string} */ restart) => set({ restart })} />
        </div>
        <${WorkspaceChoice} appId=${app.id} value=${form.workspaceId}
          onChoose=${(/** @type {string} */ workspaceId) => set({ workspaceId })} />
        <details>
          <summary>Port and health</summary>
          <div class="pair">
            <${Field} name="port" label="Port" value=${form.port} error=${wrong.get('port')}
              hint=${'Where the app listens. Empty: PORT of its environment, else the lowest it exposes, else 8080.'}
              attributes=${{ inputmode: 'numeric' }} onInput=${(/** @type {string} */ port) => set({ port })} />
            <${Field} name="healthPath" label="Health path" value=${form.healthPath} error=${wrong.get('healthPath')}
              hint="Answers 2xx or 3xx once the app is well, such as /healthz. Empty: its HEALTHCHECK, else any answer."
              attributes=${{ class: 'mono' }} onInput=${(/** @type {string} */ healthPath) => set({ healthPath })} />
          </div>
        </details>
        <footer>
          <button type="button" onClick=${onClose}>Cancel</button>
          <button class="primary" aria-disabled=${launch.isBusy}><${Icon} name="play" />Launch</button>
        </footer>
      </form>
    <//>
  `;
}

/** What this installation has, once it is known. */
function useLaunchOptions() {
  const [options, setOptions] = useState(/** @type {LaunchOptions | undefined} */ (undefined));
  useEffect(() => {
    const gone = new AbortController();
    getJson('/launches/options', { signal: gone.signal })
      .then(({ data }) => setOptions(data))
      // The names alone will do.
      .catch(() => undefined);
    return () => gone.abort();
  }, []);
  return options;
}

const sizeNames = /** @type {const} */ (['small', 'medium', 'large']);

/** @param {LaunchOptions | undefined} options */
function sizesOf(options) {
  return sizeNames.map(name => {
    const its = options?.profiles.find(one => one.name === name);
    const word = `${name[0]?.toUpperCase()}${name.slice(1)}`;
    return [name, its === undefined ? word : `${word}: ${memoryOf(its.memoryBytes)}, ${coresOf(its.cpus)}`];
  });
}

/** Memory is counted in powers of two, and written as people do. @param {number} bytes */
const memoryOf = bytes =>
  bytes % 1_073_741_824 === 0
    ? `${bytes / 1_073_741_824} GB`
    : bytes % 1_048_576 === 0
      ? `${bytes / 1_048_576} MB`
      : bytesOf(bytes);

/** @param {number} cpus */
const coresOf = cpus => (cpus === 0.5 ? 'half a core' : cpus === 1 ? 'one core' : `${cpus} cores`);

/** @param {LaunchOptions | undefined} options @param {string} chosen */
function idlesOf(options, chosen) {
  const usual = options?.idleSeconds.default;
  const others = idleTimes.filter(([seconds]) => seconds !== usual);
  const word = usual === undefined ? 'As is usual here' : usual === null ? 'Never' : spanOf(usual);
  const isOdd =
    chosen !== '' && chosen !== 'never' && !idleTimes.some(([seconds]) => String(seconds) === chosen);
  return [
    ['', word],
    ...others,
    ...(isOdd ? [[chosen, spanOf(Number(chosen))]] : []),
    ...(usual === null ? [] : [['never', 'Never']]),
  ];
}

/**
 * What is wrong, by field; of the environment by the place of the row on the screen.
 * @param {Error | undefined} problem
 * @param {Form} form
 * @returns {Map<string, string>}
 */
function wrongIn(problem, { rows }) {
  const wrong = wrongRows(problem, rows);
  for (const { field } of problem instanceof Problem ? problem.errors : []) {
    if (rules[field] !== undefined) wrong.set(field, rules[field]);
  }
  return wrong;
}
