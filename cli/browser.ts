/** Opens an address in the person's browser: the one named by BROWSER, else what the system takes for it. */
import { spawn } from 'node:child_process';

/**
 * Only http and https addresses are handed on. A machine without a browser is no failure: the address was
 * printed.
 */
export async function openInBrowser(url: string): Promise<void> {
  if (!['http:', 'https:'].includes(URL.parse(url)?.protocol ?? '')) return;
  const [command, ...args] = commandFor(process.platform);
  const child = spawn(command, [...args, url], { detached: true, stdio: 'ignore' });
  await new Promise<void>(resolve => {
    child.once('error', () => resolve());
    child.once('spawn', () => {
      child.unref();
      resolve();
    });
  });
}

function commandFor(platform: NodeJS.Platform): [string, ...string[]] {
  const chosen = process.env.BROWSER;
  if (chosen !== undefined && chosen !== '') return [chosen];
  if (platform === 'darwin') return ['open'];
  return platform === 'win32' ? ['rundll32', 'url.dll,FileProtocolHandler'] : ['xdg-open'];
}
