/**
 * A witness that is a branch of a Git repository: the checkpoints are files in it, and each round is a commit. Nothing is ever
 * pushed by force, so whoever has fetched the branch finds out when it was written anew.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { isLocalRepo } from '../../domain/apps/repo-url.ts';
import type { WitnessConfig } from '../../platform/audit-witness-config.ts';
import type { Handing, Witness } from '../access/witness.ts';
import { runGit } from './git-run.ts';
import { appendTo } from './witness-file.ts';

const author = ['-c', 'user.name=AppHub', '-c', 'user.email=audit@apphub.invalid'];
/** Links in the repository lead nowhere here. */
const plainFiles = ['-c', 'core.symlinks=false'];

export function gitWitness(
  { name, everySeconds, url, branch }: WitnessConfig & { kind: 'git' },
  folder: string,
): Witness {
  const ref = `refs/heads/${branch}`;
  const handIn = async (handing: Handing) => {
    const git = (...args: string[]) =>
      runGit({ directory: folder, allowLocal: isLocalRepo(url), signal: handing.signal }, args);
    await git('init', '--quiet');
    const isThere = (await git('ls-remote', '--', url, ref)) !== '';
    if (isThere) {
      await git('fetch', '--quiet', '--depth=1', '--', url, ref);
      await git(...plainFiles, 'checkout', '--quiet', '--force', '--detach', 'FETCH_HEAD');
      // What an earlier round wrote and did not commit is not in the repository.
      await git('clean', '--quiet', '-ffdx');
    } else {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
      await git('init', '--quiet');
    }
    const { size, appended } = await appendTo(folder, handing);
    if (appended === 0) return { size };
    await git('add', '--', 'checkpoints');
    await git(...author, 'commit', '--quiet', '-m', `Checkpoint of ${size} events of ${handing.origin}`);
    await git('push', '--quiet', '--', url, `HEAD:${ref}`);
    return { size };
  };
  return {
    name,
    kind: 'git',
    everySeconds,
    async hand(handing) {
      mkdirSync(folder, { recursive: true });
      try {
        return await handIn(handing);
      } catch (error) {
        // Whatever is left of it, a lock or half a commit, must not be in the way the next time.
        rmSync(folder, { recursive: true, force: true });
        throw error;
      }
    },
  };
}
