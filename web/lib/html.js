/** The only file that knows how markup is made: everything else imports html, render and the hooks from here. */
import htm from 'htm';
import { h, render as mount } from 'preact';

export {
  useEffect,
  useErrorBoundary,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from 'preact/hooks';

/** Markup as a tagged template. @type {(strings: TemplateStringsArray, ...values: any[]) => any} */
export const html = htm.bind(h);

/** @param {unknown} tree @param {Element} parent */
export function render(tree, parent) {
  mount(/** @type {import('preact').VNode} */ (tree), parent);
}
