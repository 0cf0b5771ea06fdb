/** The fields of an app: their labels and hints, and what can be guessed from the address of its repository. */

/**
 * @typedef {'repoUrl' | 'id' | 'name' | 'description' | 'tags' | 'ref' | 'dockerfilePath' | 'homepage' | 'owner'} Name
 * @typedef {Record<Name, string>} Form
 */
/** @typedef {{ label: string, hint?: string, required?: boolean, right?: string }} Words */

const idRule = 'must have 3 to 64 lower-case letters, digits and dashes, and begin with a letter';
const tagRule = 'must be pairs like team:alpha, with a lower-case key';

/**
 * `right` says what would be right where the server only names a pattern.
 * @type {Readonly<Record<keyof Form, Words>>}
 */
export const words = {
  repoUrl: {
    label: 'Git repository',
    required: true,
    hint: 'Its http, https, ssh or git address, for example https://example.org/team/app.git',
  },
  name: { label: 'Name', required: true },
  id: {
    label: 'Id',
    required: true,
    hint: 'Its place in addresses. It cannot be changed later.',
    right: idRule,
  },
  description: { label: 'Description', hint: 'Left empty, it is taken from the README.' },
  tags: {
    label: 'Tags',
    hint: 'Pairs like team:alpha kind:"web app". More are found in the repository.',
    right: tagRule,
  },
  ref: { label: 'Branch or tag', hint: 'Left empty, the default branch.' },
  dockerfilePath: { label: 'Dockerfile', hint: 'Left empty, the nearest to the root.' },
  homepage: { label: 'Home page' },
  owner: { label: 'Owner' },
};

const idCharsMax = 64;

/** @param {string} repoUrl */
const lastPart = repoUrl =>
  repoUrl
    .trim()
    .replace(/\/+$/, '')
    .replace(/\.git$/, '')
    .split(/[/:]/)
    .at(-1) ?? '';

/** @param {string} repoUrl */
export const idFrom = repoUrl =>
  lastPart(repoUrl)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+|-+$/g, '')
    .slice(0, idCharsMax);

/** @param {string} repoUrl */
export const nameFrom = repoUrl => {
  const words = lastPart(repoUrl)
    .replace(/[-_.]+/g, ' ')
    .trim();
  return words === '' ? '' : `${words[0]?.toUpperCase()}${words.slice(1)}`;
};

/**
 * Pairs as the API takes them. What is no pair is passed on as it is, for the server to say so.
 * @param {string} text
 */
export const readTags = text =>
  [...text.matchAll(/([^\s:",]+):"([^"]*)"|[^\s,]+/gu)].map(([piece, quotedKey, quoted]) => {
    if (quotedKey !== undefined) return { key: quotedKey, value: quoted ?? '' };
    const at = piece.indexOf(':');
    return at < 0 ? { key: piece, value: '' } : { key: piece.slice(0, at), value: piece.slice(at + 1) };
  });
