/**
 * The way out for apps that have one: a forward proxy on the gateway of their network, for HTTP and, by CONNECT, for everything
 * else.
 *
 * An app has a listener of its own, on its own network, so that who asks is known by where he asks. What he asks for has to be on
 * the list of his app.
 * The name is looked up here, and the connection is made to the very address that was looked at: a name that means another
 * address the next time leads nowhere. What is refused is counted, for the owner of the app.
 */
import type { Log } from '../../platform/log.ts';
import { type Denial, openDenials } from './denials.ts';
import { type Gate, OpenElsewhere, openGate } from './gate.ts';

const momentMsMax = 60_000;

export type WayOut = {
  readonly launchId: string;
  /** The host's own address on the network of the launch. */
  readonly gateway: string;
  /** The addresses of its containers, as in `10.213.0.8/29`. */
  readonly subnet: string;
  readonly hosts: readonly string[];
};

export type EgressProxy = {
  /** Opens the way out of a launch. One that is open already, here or in another process, stays as it is. */
  open(way: WayOut): Promise<void>;
  /** Closes those of all launches but these, and but those asked for a moment ago: their containers are about to start. */
  keep(launchIds: ReadonlySet<string>, momentMs?: number): Promise<void>;
  close(launchId: string): Promise<void>;
  /** What was refused since the last time this was asked. */
  takeDenials(): readonly Denial[];
  end(): Promise<void>;
};

export type EgressOptions = {
  readonly port: number;
  readonly log: Pick<Log, 'info'>;
  /** How much goes in and out for one launch in an hour. */
  readonly bytesPerHourMax?: number;
  readonly lookup?: (host: string) => Promise<readonly string[]>;
  readonly isAllowedAddress?: (address: string) => boolean;
};

type Kept = { readonly gate: Promise<Gate>; askedAt: number };

export function openEgressProxy(options: EgressOptions): EgressProxy {
  const kept = new Map<string, Kept>();
  const denials = openDenials();

  const open = async (way: WayOut): Promise<void> => {
    const { launchId } = way;
    const opened = (): Kept => {
      const gate = openGate(way, options, (target, reason) => {
        const isNew = denials.add({ launchId, ...target, reason });
        if (isNew) options.log.info({ launchId, ...target, reason }, 'an app was refused the way out');
      });
      return { gate, askedAt: 0 };
    };
    const one = kept.get(launchId) ?? opened();
    one.askedAt = performance.now();
    kept.set(launchId, one);
    try {
      await one.gate;
    } catch (error) {
      if (kept.get(launchId) === one) kept.delete(launchId);
      if (!(error instanceof OpenElsewhere)) throw error;
    }
  };

  const close = async (launchId: string): Promise<void> => {
    const gate = kept.get(launchId)?.gate;
    kept.delete(launchId);
    await (await gate?.catch(() => undefined))?.close();
  };

  return {
    open,
    close,
    async keep(launchIds, momentMs = momentMsMax) {
      const now = performance.now();
      const over = [...kept].filter(([id, { askedAt }]) => !launchIds.has(id) && now - askedAt >= momentMs);
      await Promise.all(over.map(([id]) => close(id)));
    },
    takeDenials: denials.take,
    async end() {
      await Promise.all([...kept.keys()].map(close));
    },
  };
}
