/** Which hosts an app may reach: `api.example.org`, `*.example.org` for all names below it, or either with a port. */

const portsDefault: readonly number[] = [80, 443];

type Rule = { readonly name: string; readonly isSuffix: boolean; readonly ports: readonly number[] };
export type Rules = readonly Rule[];

export function parseRules(patterns: readonly string[]): Rules {
  return patterns.map(pattern => {
    const [host = '', port] = pattern.toLowerCase().split(':');
    const isSuffix = host.startsWith('*.');
    return {
      name: isSuffix ? host.slice(1) : host,
      isSuffix,
      ports: port === undefined ? portsDefault : [Number(port)],
    };
  });
}

/** `*.example.org` is not `example.org` itself. */
export function isAllowed(rules: Rules, host: string, port: number): boolean {
  return rules.some(({ name, isSuffix, ports }) => {
    const isHost = isSuffix ? host.endsWith(name) && host.length > name.length : host === name;
    return isHost && ports.includes(port);
  });
}

export type Target = { readonly host: string; readonly port: number };

/** `host:port`, as a CONNECT has it. Names only: the brackets of an IPv6 address are in no name. Undefined: it is none. */
export function targetOf(authority: string, portDefault?: number): Target | undefined {
  const [, host = '', digits] = /^([a-z0-9._-]{1,253})(?::(\d{1,5}))?$/i.exec(authority) ?? [];
  const port = digits === undefined ? portDefault : Number(digits);
  if (host === '' || port === undefined || port < 1 || port > 65_535) return undefined;
  return { host: host.toLowerCase().replace(/\.$/, ''), port };
}
