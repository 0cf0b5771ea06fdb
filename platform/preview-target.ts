/** What the proxy before running apps knows of a launch: who may visit it, and where it is reached or why it is not. */

export type Place = { readonly host: string; readonly port: number };

type Launch = {
  readonly launchId: string;
  readonly access: 'private' | 'public';
  /** Grants that were signed under a smaller number are void. */
  readonly linkEpoch: number;
};

/** `title` and `message` are for the visitor. */
export type Up = Launch & Place & { readonly state: 'up' };
export type Coming = Launch & {
  readonly state: 'coming';
  /** Nothing brings it up until somebody asks for it. */
  readonly isAsleep: boolean;
  /** The number of the newest container. */
  readonly deployment: number;
  readonly title: string;
  readonly message: string;
};
type Over = Launch & {
  readonly state: 'over';
  /** Another launch may take its place at this address. */
  readonly isPassing?: boolean;
  readonly title: string;
  readonly message: string;
};

export type Target = Up | Coming | Over;

export type Finder = {
  /**
   * The launch of this id, or the one that a host name of somebody's own shows now; a name with a dot in it is a host name.
   * At once where it is known well enough. Undefined: there is none. Rejects when nobody can say.
   */
  find(name: string): Target | undefined | Promise<Target | undefined>;
  /** The same, and not from memory. */
  look(name: string): Promise<Target | undefined>;
  /** Resolves when something may have changed, or after so many milliseconds. */
  moved(msMax: number): Promise<void>;
};
