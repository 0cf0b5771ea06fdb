/** Arguments of builds as somebody types them, a line each. All of it pure. */

/** @param {Readonly<Record<string, string>>} args */
export const argsText = args =>
  Object.entries(args)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n');

/**
 * What the lines say, or which line says nothing.
 * @param {string} text @returns {{ args: Record<string, string>, wrong: string }}
 */
export function argsIn(text) {
  /** @type {Map<string, string>} */
  const args = new Map();
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const at = line.indexOf('=');
    if (at < 1) return { args: {}, wrong: `“${line.trim()}” is no argument: write NAME=value` };
    args.set(line.slice(0, at).trim(), line.slice(at + 1));
  }
  return { args: Object.fromEntries(args), wrong: '' };
}

/**
 * What is wrong with them, by the words of the server.
 * @param {readonly { field: string, message: string }[]} errors
 */
export const argErrors = errors =>
  errors
    .filter(({ field }) => field === 'args' || field.startsWith('args.'))
    .map(({ field, message }) => `${field === 'args' ? 'There' : field.slice('args.'.length)} ${message}`);
