/** What the things of AppHub are called on an engine. */

/** The names of the labels. Their values are ids; people find them with `docker ps --filter label=…`. */
export const labelOf = {
  /** The installation that owns the thing: several may share one engine and must leave each other alone. */
  instance: 'apphub.instance',
  app: 'apphub.app',
  build: 'apphub.build',
  commit: 'apphub.commit',
  launch: 'apphub.launch',
  /** Which container of the launch it is: 1, 2, 3 … */
  deployment: 'apphub.deployment',
  /** The event that asked for it. */
  event: 'apphub.event',
  /** What it may use, in bytes and cores: what is promised on an engine is the sum of these. */
  memory: 'apphub.memory',
  cpus: 'apphub.cpus',
  /** The port of its node at which a launch in a swarm is reached. */
  port: 'apphub.port',
  /** The hosts it may reach, as JSON. */
  egress: 'apphub.egress',
  /** A volume with what the image has in a folder that it declares as one; it goes with its container. */
  copy: 'apphub.copy',
  /** Its image would have run as root, and does not. */
  demoted: 'apphub.demoted',
  /** A container that was made to look into an image, and is never started. */
  look: 'apphub.look',
  /** A container that looks after the firewall of the host, for a moment. */
  guard: 'apphub.guard',
  workspace: 'apphub.workspace',
  /** Which set of volumes of the workspace it belongs to. */
  generation: 'apphub.generation',
  /** The folder of the app that the volume holds. */
  path: 'apphub.path',
  /** A container that was made to reach into volumes, and is never started. */
  hand: 'apphub.hand',
} as const;

export type Labels = Readonly<Record<string, string>>;
