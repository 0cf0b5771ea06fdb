/** How an app is confined while it runs. Without a word about it, it speaks to nobody and is nobody. */

export type Sandbox = {
  /** The hosts it may speak to, such as `api.example.org` or `*.example.org:8443`; empty: none. */
  egress: string[];
  /** Whether its processes may be root inside of the container. */
  allowRoot: boolean;
  /** `runsc`: a kernel of its own in user space (gVisor), where the engine has it. */
  runtime: 'default' | 'runsc';
};

export const confined: Sandbox = { egress: [], allowRoot: false, runtime: 'default' };

const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const portMax = 65_535;
const nameCharsMax = 253;

/** What is wrong with a host that is to be let through, or undefined. Names only: an address says nothing about whose it is. */
export function checkEgressHost(text: string): string | undefined {
  const wanted = 'must be a host name such as api.example.org, *.example.org or api.example.org:8443';
  const [name = '', port, ...rest] = text.split(':');
  if (rest.length > 0 || text.length > nameCharsMax) return wanted;
  if (port !== undefined && !(/^[1-9]\d{0,4}$/.test(port) && Number(port) <= portMax)) return wanted;
  const labels = (name.startsWith('*.') ? name.slice(2) : name).split('.');
  if (labels.length < 2 || !labels.every(one => label.test(one))) return wanted;
  return /^\d+$/.test(labels.at(-1) ?? '') ? wanted : undefined;
}
