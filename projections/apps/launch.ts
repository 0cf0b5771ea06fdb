/** Every launch, each container it has had, where the present one listens, and how it ended. */
import type { EventOf } from '../../domain/events.ts';
import { type Op, type Projection, patch, put, type Row } from '../projection.ts';

const table = 'apps_launches';
const deployments = 'apps_deployments';

export const launches: Projection = {
  name: table,
  version: 4,
  tables: { [table]: ['launch_id'], [deployments]: ['launch_id', 'deployment'] },
  madeAt: { [table]: 'requested_at' },

  createTables: schema =>
    schema
      .createTable(deployments, t => {
        t.text('launch_id').notNullable();
        t.integer('deployment').notNullable();
        t.primary(['launch_id', 'deployment']);
        t.text('app_id').notNullable();
        t.text('build_id').notNullable();
        t.text('image').notNullable();
        t.text('cause').notNullable();
        /** coming, serving, retiring, gone; one whose launch is over is gone, whatever it says here. */
        t.text('status').notNullable();
        t.text('container_id');
        t.text('engine');
        t.integer('started_in_ms');
        t.jsonb('failure');
        t.timestamp('requested_at').notNullable();
        t.timestamp('not_before');
        t.timestamp('running_at');
        t.timestamp('gone_at');
        // What the rounds look for: those that are to be brought up or removed.
        t.index(['status', 'not_before']);
      })
      .createTable(table, t => {
        t.text('launch_id').primary();
        t.text('app_id').notNullable();
        t.text('build_id').notNullable();
        t.text('image').notNullable();
        t.text('image_id').notNullable();
        t.jsonb('env').notNullable();
        t.text('resource_profile').notNullable();
        t.text('owner').notNullable();
        t.text('access').notNullable();
        t.text('restart').notNullable();
        t.integer('idle_seconds');
        t.text('health_path');
        t.jsonb('sandbox').notNullable();
        t.jsonb('workspace');
        t.integer('link_epoch').notNullable().defaultTo(0);
        t.text('status').notNullable();
        /** The newest one, and the one that visitors reach. */
        t.integer('deployment').notNullable();
        t.integer('serving');
        t.integer('port');
        t.text('container_id');
        t.text('engine');
        t.text('host');
        t.integer('host_port');
        t.integer('started_in_ms');
        t.jsonb('failure');
        /** Why it was stopped or put to sleep, where there is more to say; the kind of sleep is idle, asked or evicted. */
        t.text('because');
        t.text('sleep_reason');
        t.timestamp('requested_at').notNullable();
        t.timestamp('running_at');
        t.timestamp('slept_at');
        t.timestamp('ended_at');
        t.timestamp('expires_at').notNullable();
        t.index(['app_id', 'requested_at']);
        t.index(['status', 'expires_at']);
        t.index(['owner', 'status']);
      }),

  on: {
    LaunchRequested: ({ data }) => [
      put(table, {
        launch_id: data.launchId,
        app_id: data.appId,
        build_id: data.buildId,
        image: data.image,
        image_id: data.imageId,
        env: data.env,
        resource_profile: data.resourceProfile,
        owner: data.owner,
        access: data.access,
        restart: data.restart,
        idle_seconds: data.idleSeconds,
        health_path: data.healthPath,
        sandbox: data.sandbox,
        workspace: data.workspace,
        status: 'requested',
        deployment: 1,
        port: data.port,
        requested_at: data.at,
        expires_at: data.expiresAt,
      }),
      coming({ ...data, deployment: 1, cause: 'start', notBefore: null }),
    ],
    LaunchDeploymentRequested: ({ data }) => [
      ofLaunch(data, { status: data.status, deployment: data.deployment }),
      ...(data.superseded === null ? [] : [ofDeployment(data, data.superseded, { status: 'retiring' })]),
      coming(data),
    ],
    LaunchStarting: ({ data }) => {
      const { containerId, engine, host, hostPort, port } = data;
      const place = { container_id: containerId, engine, host, host_port: hostPort, port };
      return [
        // While another one serves, visitors go there.
        ...(data.status === 'running' ? [] : [ofLaunch(data, { status: data.status, ...place })]),
        ofDeployment(data, data.deployment, { container_id: containerId, engine }),
      ];
    },
    LaunchRunning: ({ data }) => {
      const at = { started_in_ms: data.startedInMs, running_at: data.at };
      return [
        ofLaunch(data, {
          status: 'running',
          serving: data.deployment,
          ...served(data.serves),
          ...at,
          because: null,
          sleep_reason: null,
        }),
        ofDeployment(data, data.deployment, { status: 'serving', ...at }),
        ...(data.replaced === null ? [] : [ofDeployment(data, data.replaced, { status: 'retiring' })]),
      ];
    },
    LaunchDeploymentFailed: ({ data }) => [
      ofLaunch(data, { status: data.status, failure: failureOf(data) }),
      ofDeployment(data, data.deployment, { status: 'retiring', failure: failureOf(data) }),
    ],
    LaunchCrashed: ({ data }) => [
      ofLaunch(data, { status: 'restarting', serving: null, failure: failureOf(data) }),
      ofDeployment(data, data.deployment, { status: 'retiring', failure: failureOf(data) }),
    ],
    LaunchSlept: ({ data }) => [
      ofLaunch(data, {
        status: 'asleep',
        serving: null,
        slept_at: data.at,
        because: data.because,
        sleep_reason: data.reason,
      }),
      ofDeployment(data, data.deployment, { status: 'retiring' }),
    ],
    LaunchRetired: ({ data }) => [ofDeployment(data, data.deployment, { status: 'gone', gone_at: data.at })],
    LaunchExtended: ({ data }) => [ofLaunch(data, { expires_at: data.expiresAt })],
    LaunchLinksRevoked: ({ data }) => [ofLaunch(data, { link_epoch: data.linkEpoch })],
    LaunchStopping: ({ data }) => [ofLaunch(data, { status: 'stopping', because: data.because })],
    LaunchStopped: ({ data }) => [ofLaunch(data, { status: 'stopped', serving: null, ended_at: data.at })],
    LaunchExpired: ({ data }) => [ofLaunch(data, { status: 'expired', serving: null, ended_at: data.at })],
    LaunchFailed: ({ data }) => [
      ofLaunch(data, { status: 'failed', serving: null, failure: failureOf(data), ended_at: data.at }),
      ofDeployment(data, data.deployment, { status: 'gone', failure: failureOf(data), gone_at: data.at }),
    ],
  },
};

type OfLaunch = { launchId: string };

const ofLaunch = ({ launchId }: OfLaunch, set: Row): Op => patch(table, { launch_id: launchId }, set);
const ofDeployment = ({ launchId }: OfLaunch, deployment: number, set: Row): Op =>
  patch(deployments, { launch_id: launchId, deployment }, set);

type Coming = EventOf<'LaunchDeploymentRequested'>['data'];

function coming(data: Omit<Coming, 'status' | 'superseded' | 'imageId' | 'port'>): Op {
  return put(deployments, {
    launch_id: data.launchId,
    deployment: data.deployment,
    app_id: data.appId,
    build_id: data.buildId,
    image: data.image,
    cause: data.cause,
    status: 'coming',
    requested_at: data.at,
    not_before: data.notBefore,
  });
}

function served(serves: EventOf<'LaunchRunning'>['data']['serves']): Row {
  if (serves === null) return {};
  const { buildId, image, imageId, port, containerId, engine, host, hostPort } = serves;
  return {
    build_id: buildId,
    image,
    image_id: imageId,
    port,
    container_id: containerId,
    engine,
    host,
    host_port: hostPort,
  };
}

type Ended = Omit<EventOf<'LaunchFailed'>['data'], 'isLoop'> & { isLoop?: boolean };

const failureOf = ({ reason, exitCode, oomKilled, lastLines, at, isLoop = false }: Ended): Row => ({
  reason,
  exitCode,
  oomKilled,
  lastLines,
  at,
  isLoop,
});
