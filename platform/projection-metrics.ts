/** How the tables stand, for Prometheus: read from the database whenever somebody asks. */
import type { Knex } from 'knex';
import { Gauge, type Registry } from 'prom-client';
import type { Lags } from './projection-lag.ts';

const figures = {
  apphub_projection_events: 'Events that the live tables of a projection hold',
  apphub_projection_audit_rows: 'Rows of a projection that the self-audit compared in its last round',
  apphub_projection_audit_wrong_rows: 'Rows of a projection that are not what the log says',
  apphub_projection_audit_age_seconds: 'Since the self-audit last went through a projection',
} as const;

type Name = keyof typeof figures;
type Row = { projection: string } & { readonly [N in Name]: number | string | null };

/** One query for all of them. Where the tables cannot be read, nothing is said of them. */
export function projectionFigures(registry: Registry, sql: Knex, lags?: Lags): void {
  if (lags !== undefined) lagFigures(registry, lags);
  let asked: Promise<readonly Row[]> | undefined;
  const rows = () => {
    asked ??= readRows(sql).finally(() => {
      asked = undefined;
    });
    return asked;
  };
  for (const [name, help] of Object.entries(figures) as [Name, string][]) {
    new Gauge({
      name,
      help,
      labelNames: ['projection'],
      registers: [registry],
      async collect() {
        this.reset();
        for (const row of await rows()) {
          if (row[name] !== null) this.set({ projection: row.projection }, Number(row[name]));
        }
      },
    });
  }
}

const lagNames = {
  apphub_projection_lag_events: ['Events of the log that a projection has not read', 'lagEvents'],
  apphub_projection_lag_seconds: ['Since the first event that a projection has not read', 'lagSeconds'],
  apphub_projection_dead_letters: ['Events that a projection cannot apply', 'deadLetters'],
  apphub_projection_waiting_events: ['Events that wait behind one that cannot be applied', 'waitingEvents'],
} as const;

function lagFigures(registry: Registry, lags: Lags): void {
  for (const [name, [help, field]] of Object.entries(lagNames)) {
    new Gauge({
      name,
      help,
      labelNames: ['projection'],
      registers: [registry],
      async collect() {
        this.reset();
        for (const lag of await lags.now().catch(() => [])) this.set({ projection: lag.name }, lag[field]);
      },
    });
  }
}

async function readRows(sql: Knex): Promise<readonly Row[]> {
  try {
    const { rows } = await sql.raw(
      `select c.name as projection, c.events as apphub_projection_events, a.rows as apphub_projection_audit_rows,
         a.wrong_rows as apphub_projection_audit_wrong_rows,
         extract(epoch from now() - a.checked_at) as apphub_projection_audit_age_seconds
       from projection_checkpoints c left join projection_audits a using (name)`,
    );
    return rows;
  } catch {
    return [];
  }
}
