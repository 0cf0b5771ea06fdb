/** How an app is confined, in sentences. All of it pure. */

/** @import { Sandbox } from '../lib/shapes.js' */

/** @param {Sandbox} sandbox */
export function sandboxSentences({ egress, allowRoot, runtime }) {
  return [
    egress.length === 0
      ? 'It can speak to nobody: no internet, no other app, nothing of this network.'
      : `It can speak to ${listWords(egress)}, and to nobody else.`,
    allowRoot
      ? 'Its processes may be root inside of their container.'
      : 'Its processes are never root, not even inside of their container.',
    runtime === 'runsc'
      ? 'It has a kernel of its own (gVisor).'
      : 'It shares the kernel of its host, without any of its capabilities.',
  ];
}

/** `a, b and c`. @param {readonly string[]} words */
const listWords = words =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;

/** The hosts somebody has written, one a line or with commas between them. @param {string} text */
export const hostsIn = text => text.split(/[\s,]+/).filter(Boolean);

/**
 * What is wrong with the hosts, by the words of the server.
 * @param {readonly { field: string, message: string }[]} errors
 * @param {readonly string[]} hosts as they were sent
 */
export function hostErrors(errors, hosts) {
  return errors.flatMap(({ field, message }) => {
    const [, at] = /^egress\.(\d+)$/.exec(field) ?? [];
    if (at === undefined) return field === 'egress' ? [`The list ${message}`] : [];
    return [`“${hosts[Number(at)]}” ${message}`];
  });
}
