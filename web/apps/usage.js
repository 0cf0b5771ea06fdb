/** What a launch uses at present of CPU and memory, what it may, and what it has used so far. Read anew while it is looked at. */
import { getJson } from '../lib/api.js';
import { bytesOf, clockOf } from '../lib/format.js';
import { html, useEffect } from '../lib/html.js';
import { useLive } from '../lib/live.js';
import { isAlive } from './launch-words.js';
import {
  coresOf,
  cpuWords,
  linePoints,
  lineWords,
  memoryWords,
  rowsOf,
  shortWords,
  sumWords,
} from './usage-words.js';

/** @import { ContainerUsage, Launch, LaunchUsage, UsageSample } from '../lib/shapes.js' */

/** As often as the meters are read. */
const everyMs = 5_000;

/** Readings are no events: they are asked for again and again, unless nobody sees the page. @param {Launch} launch */
export function useUsage(launch) {
  const path = `/launches/${encodeURIComponent(launch.id)}/usage`;
  const live = useLive(path, {
    load: async options => /** @type {LaunchUsage} */ ((await getJson(path, options)).data),
    isAbout: event =>
      event.stream === `apps.launch-${launch.id}` || event.stream === `apps.usage-${launch.id}`,
  });
  const isOn = isAlive(launch);
  useEffect(() => {
    if (!isOn) return undefined;
    const look = () => document.visibilityState === 'visible' && live.reload();
    const timer = setInterval(look, everyMs);
    document.addEventListener('visibilitychange', look);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', look);
    };
  }, [path, isOn]);
  return live.value;
}

/** The one that visitors reach, else the newest. @param {Launch} launch @param {LaunchUsage | undefined} usage */
const shownOf = ({ serving }, usage) =>
  usage?.containers.find(({ deployment }) => deployment === serving) ?? usage?.containers[0];

/** In the head of the launch. @param {{ launch: Launch, usage: LaunchUsage | undefined }} props */
export function Usage({ launch, usage }) {
  const one = shownOf(launch, usage);
  if (one === undefined || !isAlive(launch)) return null;
  return html`<span class="dim usage-short" title=${`CPU: ${cpuWords(one)}; memory: ${memoryWords(one)}`}>
    ${shortWords(one)}</span>`;
}

/** @param {{ launch: Launch, usage: LaunchUsage | undefined }} props */
export function UsageDetails({ launch, usage }) {
  if (usage === undefined) return null;
  const one = shownOf(launch, usage);
  const others = usage.containers.filter(each => each !== one);
  return html`
    <section class="usage" aria-labelledby="usage-title">
      <h2 id="usage-title">What it uses</h2>
      ${one && isAlive(launch) && html`<${Readings} one=${one} />`}
      ${others.map(
        each => html`<p key=${each.deployment} class="dim">Deployment ${each.deployment} uses ${cpuWords(each)} and
          ${memoryWords(each)} of memory.</p>`,
      )}
      <p class="dim">${one === undefined && isAlive(launch) && 'No container of it was read lately. '}Since it was
        launched it has used ${sumWords(usage)}.</p>
    </section>
  `;
}

/** @param {UsageSample} sample */
const cpusIn = sample => sample.cpus;
/** @param {UsageSample} sample */
const bytesIn = sample => sample.memoryBytes;

/** @param {{ one: ContainerUsage }} props */
function Readings({ one }) {
  const { recent, cpus, cpusMax, memoryBytes, memoryBytesMax, processes, processesMax } = one;
  return html`
    <div class="gauges">
      <${Gauge} name="CPU" words=${cpuWords(one)} value=${cpus ?? 0} max=${cpusMax} recent=${recent} numberIn=${cpusIn}
        wordOf=${coresOf} />
      <${Gauge} name="Memory" words=${memoryWords(one)} value=${memoryBytes} max=${memoryBytesMax} recent=${recent}
        numberIn=${bytesIn} wordOf=${bytesOf} />
      <div class="gauge"><h3>Processes</h3><p>${processes} of ${processesMax}</p></div>
    </div>
    ${recent.length > 1 && html`<${Table} recent=${recent} />`}
  `;
}

/**
 * @param {{ name: string, words: string, value: number, max: number, recent: readonly UsageSample[],
 *   numberIn: (sample: UsageSample) => number, wordOf: (value: number) => string }} props
 */
function Gauge({ name, words, value, max, recent, numberIn, wordOf }) {
  return html`
    <div class="gauge">
      <h3>${name}</h3>
      <p>${words}</p>
      <meter min="0" max=${max} high=${max * 0.9} optimum="0" value=${Math.min(value, max)}
        aria-label=${`${name}: ${words}`}></meter>
      ${
        recent.length > 1 &&
        html`<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img"
          aria-label=${`${name}. ${lineWords(recent, numberIn, wordOf)}`}>
          <polyline points=${linePoints(recent, numberIn, max)} vector-effect="non-scaling-stroke"></polyline>
        </svg>`
      }
    </div>
  `;
}

/** The same in words. @param {{ recent: readonly UsageSample[] }} props */
function Table({ recent }) {
  return html`
    <details class="usage-table">
      <summary>Readings of the last minutes</summary>
      <table>
        <thead><tr><th scope="col">Read at</th><th scope="col">CPU</th><th scope="col">Memory</th></tr></thead>
        <tbody>${rowsOf(recent).map(
          ({ at, cpus, memoryBytes }) =>
            html`<tr key=${at}><th scope="row">${clockOf(at)}</th><td>${coresOf(cpus)}</td>
              <td>${bytesOf(memoryBytes)}</td></tr>`,
        )}</tbody>
      </table>
    </details>
  `;
}
