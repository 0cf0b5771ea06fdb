/** Small pictures beside words; they say nothing that the words do not. */
import { html } from '../lib/html.js';

/** Paths in a square of 16, drawn with a line. */
const paths = {
  search: 'M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10Zm3.5-1.5L14 14',
  plus: 'M8 3v10M3 8h10',
  close: 'm4 4 8 8m0-8-8 8',
  play: 'M5 3.5v9l7-4.5z',
  stop: 'M4.5 4.5h7v7h-7z',
  retry: 'M13 8a5 5 0 1 1-1.5-3.5M13 2v3h-3',
  earlier: 'M10 3 5 8l5 5',
  later: 'm6 3 5 5-5 5',
  back: 'M6.5 3 3 6.5 6.5 10M3 6.5h6.5a3.5 3.5 0 0 1 0 7H6',
  lock: 'M4 7.5h8v6H4zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5',
  external: 'M9 3h4v4m0-4L7.5 8.5M6.5 4H3v9h9V9.5',
  tag: 'M2.5 2.5h5l6 6-5 5-6-6zM5.4 5.4h.01',
  git:
    'M4.5 5.5v5M6 4a1.5 1.5 0 1 1-3 0 1.5 1.5 0 0 1 3 0ZM6 12a1.5 1.5 0 1 1-3 0 1.5 1.5 0 0 1 3 0Z' +
    'M13 5a1.5 1.5 0 1 1-3 0 1.5 1.5 0 0 1 3 0ZM11.5 6.5c0 3-3 3-7 4',
  box: 'm8 2 5.5 3v6L8 14l-5.5-3V5zm0 6 5.5-3M8 8v6M8 8 2.5 5',
  check: 'm3 8.5 3.2 3.2L13 4.8',
  cross: 'm4.5 4.5 7 7m0-7-7 7',
  down: 'm4 6 4 4 4-4',
  download: 'M8 2.5v7M5 7l3 3 3-3M3 12.5h10',
  sun:
    'M5.5 8a2.5 2.5 0 1 0 5 0 2.5 2.5 0 0 0-5 0ZM8 1.5v1.2m0 10.6v1.2M1.5 8h1.2m10.6 0h1.2' +
    'M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9',
  moon: 'M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5Z',
  screen: 'M2.5 3h11v7.5h-11zM6 13.5h4',
  help: 'M6 6.2a2 2 0 1 1 2.6 1.9c-.5.2-.6.5-.6 1.1M8 11.5h.01M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12Z',
  person: 'M8 8a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM3 13.5c.4-2.6 2.4-4 5-4s4.6 1.4 5 4',
  key: 'M6.5 8.5a3 3 0 1 1 1-1L13 13v-2m-3-1 2-2',
  eye: 'M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8ZM8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z',
  out: 'M6.5 3H3v10h3.5M10 5l3 3-3 3m3-3H6.5',
  warn: 'M8 2.5 14 13H2zM8 6.5v3m0 1.8h.01',
  clock: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 4.8V8l2.2 1.6',
  list: 'M5.5 4H13M5.5 8H13M5.5 12H13M3 4h.01M3 8h.01M3 12h.01',
};

/** @param {{ name: keyof typeof paths }} props */
export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
    <path d=${paths[name]} />
  </svg>`;
}

export function Logo() {
  return html`<svg class="logo" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <rect width="32" height="32" rx="8" />
    <path d="M16 5 26 10.5v11L16 27 6 21.5v-11z" />
    <path class="solid" d="m13 11.5 7.5 4.5-7.5 4.5z" />
  </svg>`;
}
