/** How the tables stand: which generation of each projection is read, what is filled beside it, how far, and what is wrong. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import { Problem } from '../../platform/problem.ts';
import type { Lags } from '../../platform/projection-lag.ts';
import { AfterOnly, type Freshness } from '../fresh.ts';
import { Count, listOf, nullable, Position, Text, Time } from '../shapes.ts';

const Beside = Type.Object({
  generation: Count,
  version: Count,
  role: Text,
  position: nullable(Position),
  problem: nullable(Text),
  startedAt: Time,
  deadLetters: Count,
  /** Null where it was begun before events were counted. */
  events: nullable(Count),
  eventsTotal: nullable(Count),
  eventsPerSecond: nullable(Type.Number()),
  secondsLeft: nullable(Count),
});

const Audit = Type.Object({
  state: Text,
  rows: Count,
  wrongRows: Count,
  soundUpTo: nullable(Position),
  checkedAt: nullable(Time),
  shadowPosition: nullable(Position),
  repairWanted: Type.Boolean(),
  repairProblem: nullable(Text),
});

const Projection = Type.Object({
  name: Text,
  version: Count,
  generation: Count,
  position: nullable(Position),
  movedAt: nullable(Time),
  events: nullable(Count),
  lagEvents: Count,
  lagSeconds: Type.Number(),
  deadLetters: Type.Integer({ description: 'Events that cannot be applied' }),
  waitingEvents: Type.Integer({ description: 'Later events of their streams, which wait behind them' }),
  problem: nullable(Text),
  beside: Type.Array(Beside),
  /** Null where the self-audit has never been here. */
  audit: nullable(Audit),
});

const Divergence = Type.Object({
  table: Text,
  key: Text,
  kind: Text,
  columns: Type.Array(Text),
  position: nullable(Position),
  soundUpTo: nullable(Position),
  comparedAt: Position,
  foundAt: Time,
});

const config = {
  scope: 'metrics:read',
  nowOnly: 'It tells how the tables stand, and not what is in them.',
} as const;
const tags = ['projections'];
const params = Type.Object({ projection: Type.String({ pattern: '^[a-z][a-z0-9_]{0,62}$' }) });

/** Of one that has been there for no longer than the question. */
const none = { lagEvents: 0, lagSeconds: 0, waitingEvents: 0 };

type Deps = { readonly sql: Knex; readonly fresh: Freshness; readonly lags: Lags };

export function projectionReads({ sql, fresh, lags }: Deps): FastifyPluginAsyncTypebox {
  return async app => {
    app.addHook('preHandler', fresh.check);
    app.get(
      '/projections',
      {
        config,
        schema: {
          tags,
          summary:
            'Every projection: what is read, what is filled or kept beside it, and what the self-audit found',
          querystring: Type.Object(AfterOnly),
          response: { 200: listOf(Projection) },
        },
      },
      async () => {
        // What is shown and what is beside it are of one moment.
        const data = await sql.transaction(projectionsOf, {
          isolationLevel: 'repeatable read',
          readOnly: true,
        });
        const behind = await lags.now();
        const lagOf = (name: string) => {
          const lag = behind.find(one => one.name === name);
          const { lagEvents, lagSeconds, waitingEvents } = lag ?? none;
          return { lagEvents, lagSeconds, waitingEvents };
        };
        const all = data.map(one => ({ ...one, ...lagOf(one.name) }));
        return { data: all, meta: { nextCursor: null } } as never;
      },
    );
    app.get(
      '/projections/:projection/divergences',
      {
        config,
        schema: {
          tags,
          summary: 'Rows of a projection that are not what the log says, the first hundred of them',
          params,
          querystring: Type.Object(AfterOnly),
          response: { 200: listOf(Divergence) },
        },
      },
      async request => {
        const { projection: name } = request.params;
        const found = await sql('projection_checkpoints').where({ name }).first('name');
        if (found === undefined)
          throw new Problem(404, 'not-found', 'There is no projection of this name', {
            extra: { projection: name },
          });
        return { data: await divergencesOf(sql, name), meta: { nextCursor: null } } as never;
      },
    );
  };
}

async function projectionsOf(sql: Knex) {
  const rows = await sql('projection_checkpoints')
    .orderBy('name')
    .select('*', sql.raw('position::text as at'));
  const others = await sql('projection_generations')
    .orderBy('generation')
    .select('*', sql.raw('position::text as at'));
  const audits = await sql('projection_audits').select('*', sql.raw('sound_up_to::text as sound'));
  return rows.map(row => {
    const own = others.filter(({ name }) => name === row.name);
    const shadow = own.find(({ role }) => role === 'shadow');
    const audit = audits.find(({ name }) => name === row.name);
    return {
      name: row.name,
      version: row.version,
      generation: row.generation,
      position: row.at,
      movedAt: row.moved_at,
      events: row.events,
      deadLetters: row.letters,
      problem: row.problem,
      beside: own.filter(one => one !== shadow).map(one => besideOf(one, row)),
      audit: audit === undefined || shadow === undefined ? null : auditOf(audit, shadow.at),
    };
  });
}

type Row = Record<string, unknown>;

function besideOf(row: Row, live: Row) {
  const eventsTotal = live.events as number | null;
  const events = row.events as number | null;
  const perSecond = row.events_per_second as number | null;
  const isFilled = row.role === 'next' && row.problem === null;
  const left = eventsTotal === null || events === null ? null : Math.max(0, eventsTotal - events);
  return {
    generation: row.generation,
    version: row.version,
    role: row.role,
    position: row.at,
    problem: row.problem ?? waitsFor(row, live),
    deadLetters: row.letters,
    startedAt: row.started_at,
    events,
    eventsTotal,
    eventsPerSecond: isFilled && perSecond !== null ? Math.round(perSecond) : null,
    secondsLeft: isFilled && left !== null && perSecond ? Math.ceil(left / perSecond) : null,
  };
}

/** More of them than what is read has keep a generation from being shown. */
function waitsFor({ role, letters, letters_accepted }: Row, live: Row): string | null {
  if (role !== 'next' || letters_accepted === true || Number(letters) <= Number(live.letters)) return null;
  const more = `It has ${letters} dead letters, and what is read has ${live.letters}`;
  return `${more}: it is not shown until they are applied, or somebody says so.`;
}

function auditOf(row: Row, shadowPosition: string | null) {
  return {
    state: row.state,
    rows: row.rows,
    wrongRows: row.wrong_rows,
    soundUpTo: row.sound,
    checkedAt: row.checked_at,
    shadowPosition,
    repairWanted: row.repair_wanted,
    repairProblem: row.repair_problem,
  };
}

async function divergencesOf(sql: Knex, name: string) {
  const rows = await sql('projection_divergences')
    .where({ name })
    .orderBy(['table', 'key'])
    .select(
      '*',
      ...['position', 'sound_up_to', 'compared_at'].map(column =>
        sql.raw('??::text as ??', [column, `${column}_text`]),
      ),
    );
  return rows.map(row => ({
    table: row.table,
    key: row.key,
    kind: row.kind,
    columns: row.columns,
    position: row.position_text,
    soundUpTo: row.sound_up_to_text,
    comparedAt: row.compared_at_text,
    foundAt: row.found_at,
  }));
}
