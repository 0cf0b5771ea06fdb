/** Times that stay right while they are looked at. */
import { agoOf, dateTimeOf, dayTimeOf, durationOf } from '../lib/format.js';
import { html } from '../lib/html.js';
import { useNow } from '../lib/use.js';

/** `3 min ago`, with the exact time for who points at it. @param {{ at: string }} props */
export function Ago({ at }) {
  const now = useNow(10_000);
  return html`<time datetime=${at} title=${dateTimeOf(at)}>${agoOf(at, now)}</time>`;
}

/** How long something has been going on. @param {{ since: string }} props */
export function Elapsed({ since }) {
  const now = useNow(1_000);
  return html`<span class="elapsed">
    ${durationOf(Math.max(0, Math.floor((now - Date.parse(since)) / 1_000) * 1_000))}</span>`;
}

/** How long something will go on. @param {{ until: string }} props */
export function Remaining({ until }) {
  const now = useNow(1_000);
  const ms = Math.max(0, Date.parse(until) - now);
  return html`<time datetime=${until} title=${dateTimeOf(until)}>
    ${durationOf(Math.ceil(ms / 1_000) * 1_000)} left</time>`;
}

/** `The next try is in 4 s`, and at that time `… now`. @param {{ at: string, what: string }} props */
export function Soon({ at, what }) {
  const now = useNow(1_000);
  const ms = Date.parse(at) - now;
  const when = ms > 0 ? `in ${durationOf(Math.ceil(ms / 1_000) * 1_000)}` : 'now';
  return html`<span class="elapsed">${what} ${when}.</span>`;
}

/** A time to come, as a date. @param {{ at: string }} props */
export function Until({ at }) {
  return html`<time datetime=${at} title=${dateTimeOf(at)}>${dayTimeOf(at)}</time>`;
}
