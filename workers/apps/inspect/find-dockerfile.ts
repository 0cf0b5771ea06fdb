/** Which Dockerfile an app is built from: the one its owner declared, else the one nearest to the root of the repository. */
import { checkDockerfilePath } from '../../../domain/apps/dockerfile-path.ts';
import { type Checkout, inFolder } from './checkout.ts';
import { type Dockerfile, parseDockerfile } from './dockerfile.ts';
import { InspectionFailure } from './inspection-failure.ts';

export const dockerfileBytesMax = 128 * 1024;
const depthMax = 8;
const entriesMax = 50_000;
const candidatesReadMax = 20;
const candidatesSaidMax = 5;

/** Folders whose Dockerfiles are somebody else's. */
const skippedFolders = new Set([
  '.git',
  'node_modules',
  'bower_components',
  'vendor',
  '.venv',
  'venv',
  '.apphub',
]);

export type FoundDockerfile = { path: string; dockerfile: Dockerfile };

/** Reads the declared Dockerfile, or looks for one. Throws an InspectionFailure that says what would be right. */
export async function findDockerfile(
  checkout: Checkout,
  declared: string | undefined,
  signal?: AbortSignal,
): Promise<FoundDockerfile> {
  if (declared !== undefined) return readDeclared(checkout, declared, signal);
  const candidates = await listDockerfiles(checkout, signal);
  for (const path of candidates.slice(0, candidatesReadMax)) {
    const dockerfile = await readDockerfile(checkout, path);
    if (dockerfile !== null) return { path, dockerfile };
  }
  if (candidates.length > 0) {
    const what = `${said(candidates)} cannot be read as a Dockerfile: it holds no FROM instruction`;
    throw new InspectionFailure(
      'dockerfile-invalid',
      `${what}. Begin it with FROM and the name of an image.`,
    );
  }
  throw new InspectionFailure(
    'no-dockerfile',
    'No Dockerfile was found in the repository. Add a file named "Dockerfile" that says how the app is built, best at the ' +
      'root of the repository, or give the path of the file that does.',
  );
}

async function readDeclared(
  checkout: Checkout,
  path: string,
  signal?: AbortSignal,
): Promise<FoundDockerfile> {
  const wrong = checkDockerfilePath(path);
  if (wrong !== undefined) throw new InspectionFailure('dockerfile-missing', wrong);
  if (!(await checkout.hasFile(path))) {
    const others = await listDockerfiles(checkout, signal);
    const advice =
      others.length === 0
        ? 'Add the file to the repository, or change the path.'
        : `Change the path, or leave it out; the repository has ${said(others)}.`;
    throw new InspectionFailure('dockerfile-missing', `The repository has no file "${path}". ${advice}`);
  }
  const dockerfile = await readDockerfile(checkout, path);
  if (dockerfile !== null) return { path, dockerfile };
  const what = `"${path}" cannot be read as a Dockerfile: it holds no FROM instruction`;
  const size = `or is longer than ${dockerfileBytesMax / 1024} KiB`;
  throw new InspectionFailure(
    'dockerfile-invalid',
    `${what} ${size}. Begin it with FROM and the name of an image.`,
  );
}

async function readDockerfile(checkout: Checkout, path: string): Promise<Dockerfile | null> {
  const text = await checkout.readText(path, dockerfileBytesMax);
  return text === null ? null : parseDockerfile(text);
}

function said(paths: readonly string[]): string {
  const shown = paths.slice(0, candidatesSaidMax).map(path => `"${path}"`);
  return shown.join(', ') + (paths.length > shown.length ? ` and ${paths.length - shown.length} more` : '');
}

/** All Dockerfiles, best first: plain names before variants (`Dockerfile.dev`), then fewer folders, then shorter paths. */
async function listDockerfiles(checkout: Checkout, signal?: AbortSignal): Promise<string[]> {
  const plain: string[] = [];
  const variants: string[] = [];
  let entriesSeen = 0;
  let level = [''];
  for (let depth = 0; depth <= depthMax && level.length > 0; depth += 1) {
    const next: string[] = [];
    const found: Record<'plain' | 'variant', string[]> = { plain: [], variant: [] };
    for (const folder of level) {
      signal?.throwIfAborted();
      if (entriesSeen >= entriesMax) break;
      for (const { name, kind } of await checkout.list(folder)) {
        entriesSeen += 1;
        const path = inFolder(folder, name);
        if (kind === 'folder') {
          if (!skippedFolders.has(name)) next.push(path);
        } else if (checkDockerfilePath(path) === undefined) {
          const rank = rankName(name);
          if (rank !== null) found[rank].push(path);
        }
      }
    }
    const byLength = (a: string, b: string) => a.length - b.length || (a < b ? -1 : 1);
    plain.push(...found.plain.sort(byLength));
    variants.push(...found.variant.sort(byLength));
    level = next;
  }
  return [...plain, ...variants];
}

function rankName(name: string): 'plain' | 'variant' | null {
  if (name === 'Dockerfile') return 'plain';
  if (/\.(dockerignore|md|txt|orig|bak)$/i.test(name)) return null;
  return /^(dockerfile|containerfile)(\..+)?$|\.(dockerfile|containerfile)$/i.test(name) ? 'variant' : null;
}
