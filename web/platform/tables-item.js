/** One projection: how its tables stand, how far new ones are, which rows are wrong, and what can be done about it. */
import { toast } from '../lib/announce.js';
import { getJson, write } from '../lib/api.js';
import { countOf } from '../lib/format.js';
import { html, useRef } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { useLive } from '../lib/live.js';
import { useAction, useKeptFocus, useSpoken } from '../lib/use.js';
import { Icon } from '../parts/icon.js';
import { MayButton, Why } from '../parts/may.js';
import { ProblemBox } from '../parts/problem.js';
import { Status } from '../parts/status.js';
import { Ago } from '../parts/time.js';
import { Letters } from './letters.js';
import {
  divergenceWords,
  filledOf,
  keptOf,
  keyWords,
  partOf,
  progressWords,
  refusedOf,
  standingOf,
} from './tables-words.js';

/** @import { Divergence, ProjectionTables, TablesBeside } from './shapes.js' */

/** @param {{ projection: ProjectionTables, onChanged: () => void }} props */
export function ProjectionItem({ projection, onChanged }) {
  const { name, version, generation, events, audit, deadLetters, waitingEvents } = projection;
  const { lagEvents, lagSeconds } = projection;
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const standing = standingOf(projection);
  useSpoken(`${name}: ${standing.word}`);
  useKeptFocus(box, 'button');
  const filled = filledOf(projection);
  const refused = refusedOf(projection);
  return html`
    <li class="panel panel-body projection" ref=${box} data-projection=${name}>
      <div class="access-head">
        <h2>${name}</h2>
        <span class="end"><${Status} ...${standing} /></span>
      </div>
      <p class="dim facts">
        <span>version ${version}</span>
        <span>tables ${generation}</span>
        ${events !== null && html`<span>${countOf(events, 'event')}</span>`}
        ${lagEvents > 0 && html`<span>${countOf(lagEvents, 'event')} and ${Math.round(lagSeconds)} s behind</span>`}
        ${
          audit !== null &&
          audit.checkedAt !== null &&
          html`<span>${countOf(audit.rows, 'row')} compared <${Ago} at=${audit.checkedAt} /></span>`
        }
      </p>
      ${filled && html`<${Filling} name=${name} filled=${filled} />`}
      ${
        refused &&
        html`<p class="not-shown"><${Icon} name="warn" /> New tables were made and are not shown. ${refused.problem}</p>`
      }
      ${audit?.repairProblem && html`<p class="not-shown"><${Icon} name="warn" /> ${audit.repairProblem}</p>`}
      ${audit !== null && audit.wrongRows > 0 && html`<${Wrong} name=${name} rows=${audit.wrongRows} />`}
      ${projection.problem && html`<p class="not-shown"><${Icon} name="warn" /> ${projection.problem}</p>`}
      ${deadLetters > 0 && html`<${Letters} name=${name} marks=${`${deadLetters} ${waitingEvents}`} />`}
      <${Actions} projection=${projection} onChanged=${onChanged} />
    </li>
  `;
}

/** @param {{ name: string, filled: TablesBeside }} props */
function Filling({ name, filled }) {
  return html`
    <div class="filling">
      <progress aria-label=${`New tables of ${name}`} max="1" value=${partOf(filled)}></progress>
      <span>${progressWords(filled)}</span>
    </div>
  `;
}

/** @param {{ name: string, rows: number }} props */
function Wrong({ name, rows }) {
  /** @type {import('../lib/live.js').Live<Divergence[]>} */
  const { value, error, reload } = useLive(`${name} ${rows}`, {
    load: async options => (await getJson(`/projections/${name}/divergences`, options)).data,
    isAbout: event => event.stream === `platform.projection-${name}`,
  });
  if (error) return html`<${ProblemBox} what="The rows cannot be listed" error=${error} onRetry=${reload} />`;
  if (value === undefined)
    return html`<p class="waiting"><span class="spinner"></span>Reading which rows…</p>`;
  return html`
    <details class="wrong" open=${value.length <= 3}>
      <summary>${countOf(rows, 'row')} not as the log has ${rows === 1 ? 'it' : 'them'}</summary>
      <ul role="list">
        ${value.map(
          one => html`<li key=${`${one.table} ${one.key}`}>
            <span class="mono">${one.table} ${keyWords(one.key)}</span>
            <span class="dim">${divergenceWords(one)}; found <${Ago} at=${one.foundAt} /></span>
          </li>`,
        )}
        ${value.length < rows && html`<li class="dim">and ${(rows - value.length).toLocaleString('en')} more</li>`}
      </ul>
    </details>
  `;
}

/** @param {{ projection: ProjectionTables, onChanged: () => void }} props */
function Actions({ projection, onChanged }) {
  const { name, audit } = projection;
  const may = useMay('admin');
  const { run, isBusy, problem } = useAction(
    async (/** @type {string} */ what, /** @type {string} */ said) => {
      await write('POST', `/projections/${name}/${what}`);
      toast(said);
      onChanged();
    },
  );
  const isFilled = filledOf(projection) !== undefined;
  const rebuild = () => !isFilled && run('rebuild', `Tables of ${name} are made anew`);
  return html`
    <p class="actions">
      <${MayButton} may=${may} class="small" isBusy=${isBusy || isFilled} aria-label=${`Make ${name} anew`} onClick=${rebuild}>
        <${Icon} name="retry" />Make anew<//>
      ${
        keptOf(projection) !== undefined &&
        !isFilled &&
        html`<${MayButton} may=${may} class="small" isBusy=${isBusy} aria-label=${`Show the tables of ${name} of before`}
        onClick=${() => run('rollback', `Tables of ${name} of before are shown again`)}>
        <${Icon} name="back" />Show those of before<//>`
      }
      ${
        audit !== null &&
        audit.wrongRows > 0 &&
        html`<${MayButton} may=${may} class="small primary" isBusy=${isBusy || audit.repairWanted}
        aria-label=${`Mend the rows of ${name}`} onClick=${() => run('repair', `Rows of ${name} are mended`)}>
        <${Icon} name="check" />Mend the rows<//>`
      }
      <${Why} may=${may} />
    </p>
    ${problem && html`<${ProblemBox} what="Not asked for" error=${problem} />`}
  `;
}
