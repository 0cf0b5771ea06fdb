/** Every number that bounds what a caller may give or an aggregate may hold. Unit last. */

export const appIdPattern = '^[a-z][a-z0-9-]{2,63}$';
export const nameCharsMax = 120;
export const descriptionCharsMax = 4_000;
export const urlCharsMax = 2_048;
export const pathCharsMax = 512;
export const refCharsMax = 255;
export const ownerCharsMax = 120;
export const tagsPerRequestMax = 50;
export const tagsPerAppMax = 200;
export const tagKeyPattern = '^[a-z0-9][a-z0-9._/-]{0,63}$';
export const tagValueCharsMax = 128;

export const ingestionAttemptsMax = 3;
export const messageCharsMax = 500;
export const previewsMax = 6;
export const portsMax = 16;

export const launchEnvMax = 32;
export const envKeyPattern = '^[A-Za-z_][A-Za-z0-9_]{0,127}$';
export const envValueCharsMax = 4_096;
export const launchTtlSecondsMin = 10;
export const launchTtlSecondsMax = 7 * 24 * 3_600;
export const launchTtlSecondsDefault = 3_600;

export const buildArgsMax = 32;
export const buildArgValueCharsMax = 2_048;
export const buildSecretNamePattern = '^[A-Za-z_][A-Za-z0-9_.-]{0,63}$';
export const buildSecretsMax = 64;
export const buildSecretBytesMax = 32 * 1024;

/** How much a container may use: in names here, in numbers by configuration. */
export const resourceProfiles = ['small', 'medium', 'large'] as const;
export type ResourceProfile = (typeof resourceProfiles)[number];

export const scopesPerKeyMax = 64;
export const appPattern = '^([a-z][a-z0-9-]{0,62}\\*|[a-z][a-z0-9-]{2,63})$';
export const appsPerKeyMax = 100;
export const keySecondsMin = 60;
export const keySecondsMax = 366 * 24 * 3_600;
export const keySecondsDefault = 90 * 24 * 3_600;
export const keyOverlapSecondsMax = 7 * 24 * 3_600;

/** How often in a row a launch is started again after its container has failed, and how long it waits before it is. */
export const restartsMax = 5;
export const restartWaitMsMin = 1_000;
export const restartWaitMsMax = 60_000;
/** Having run for so long, an app that fails begins to count anew. */
export const steadyMsMin = 10 * 60_000;
/** How often in a row a launch may fail to wake before it is over. */
export const loopsMax = 5;
export const launchIdleSecondsMin = 10;
export const launchIdleSecondsMax = 7 * 24 * 3_600;
export const egressHostsMax = 50;

/** How long a link to a private launch lets its visitors in. */
export const linkSecondsMin = 60;
export const linkSecondsMax = 30 * 24 * 3_600;
export const linkSecondsDefault = 24 * 3_600;
/** A path and query as a request line has them (RFC 3986); joined to an origin it cannot lead anywhere else. */
export const previewPathPattern = '^/[!"$-~]*$';
export const workspaceBytesMin = 1024 * 1024;
export const snapshotsPerWorkspaceMax = 20;

/** Of a host name as somebody may write it; the name itself has 253 at most (RFC 1035). */
export const hostCharsMax = 300;
/** What a host name may be written with, before it is looked at more closely. */
export const hostPattern = '^[A-Za-z0-9.-]*$';
