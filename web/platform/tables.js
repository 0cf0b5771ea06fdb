/** For operators: the tables that everything is read from. What is read, what is made anew beside it, and what is wrong, live. */
import { toast } from '../lib/announce.js';
import { getJson, write } from '../lib/api.js';
import { html, useEffect } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { useLive } from '../lib/live.js';
import { useAction, useSpoken, useTitle } from '../lib/use.js';
import { Icon } from '../parts/icon.js';
import { MayButton, Why } from '../parts/may.js';
import { ProblemBox } from '../parts/problem.js';
import { ProjectionItem } from './tables-item.js';
import { filledOf, isUnderWay, summaryOf } from './tables-words.js';

/** @import { ProjectionTables } from './shapes.js' */

/** How far it is, is no event. */
const busyMs = 500;
const calmMs = 5_000;

export function TablesPage() {
  useTitle('Tables');
  const may = useMay('metrics:read');
  return html`
    <div class="tables">
      <h1 tabindex="-1">Tables</h1>
      ${
        may.why === ''
          ? html`<${Projections} />`
          : html`<section class="empty small">
            <h2>You may not see this</h2>
            <p>${may.why}. Here is how the tables stand that everything is read from. Ask whoever runs AppHub for this scope.</p>
          </section>`
      }
    </div>
  `;
}

function useProjections() {
  /** @type {import('../lib/live.js').Live<ProjectionTables[]>} */
  const live = useLive('projections', {
    load: async options => (await getJson('/projections', options)).data,
    isAbout: event => /^platform\.(projection|dead-letter|projection-lag)-/.test(event.stream),
  });
  const isBusy = live.value?.some(isUnderWay) === true;
  useEffect(() => {
    const timer = setInterval(
      () => document.visibilityState === 'visible' && live.reload(),
      isBusy ? busyMs : calmMs,
    );
    return () => clearInterval(timer);
  }, [isBusy]);
  return live;
}

function Projections() {
  const { value, error, reload } = useProjections();
  useSpoken(value === undefined ? undefined : summaryOf(value));
  if (value === undefined) {
    return error === undefined
      ? html`<p class="waiting" role="status"><span class="spinner"></span>Looking at the tables…</p>`
      : html`<${ProblemBox} what="The tables cannot be listed" error=${error} onRetry=${reload} />`;
  }
  return html`
    <${Head} projections=${value} onChanged=${reload} />
    ${error && html`<${ProblemBox} what="This may be old" error=${error} onRetry=${reload} />`}
    <ul class="projections" role="list" aria-label="Projections">
      ${value.map(one => html`<${ProjectionItem} key=${one.name} projection=${one} onChanged=${reload} />`)}
    </ul>
  `;
}

/** @param {{ projections: ProjectionTables[], onChanged: () => void }} props */
function Head({ projections, onChanged }) {
  const may = useMay('admin');
  const { run, isBusy, problem } = useAction(async () => {
    for (const { name } of projections) await write('POST', `/projections/${name}/rebuild`);
    toast('All tables are made anew');
    onChanged();
  });
  const areAll = projections.every(one => filledOf(one) !== undefined);
  return html`
    <section class="panel panel-body tables-head">
      <p>${summaryOf(projections)}.</p>
      <p class="dim">Every table follows from the event log. Made anew, it is filled beside the one that is read, compared with
        it, and shown in one step; readers notice nothing. All that are made anew share one reading of the log.</p>
      <p class="actions">
        <${MayButton} may=${may} isBusy=${isBusy || areAll} onClick=${() => !areAll && run()}>
          <${Icon} name="retry" />Make all anew<//>
        <${Why} may=${may} />
      </p>
      ${problem && html`<${ProblemBox} what="Not asked for" error=${problem} />`}
    </section>
  `;
}
