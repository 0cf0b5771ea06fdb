/** How far the log is signed, and who has seen it, for Prometheus: read from the database whenever somebody asks. */
import type { Knex } from 'knex';
import { Gauge, type Registry } from 'prom-client';

const ofTree = {
  apphub_audit_tree_events: 'Events that the tree over the log holds',
  apphub_audit_signed_events: 'Events that the newest published checkpoint covers',
} as const;
const ofWitness = {
  apphub_audit_witness_events: 'Events that a witness was handed a checkpoint of',
  apphub_audit_witness_failing: 'Whether something keeps a witness from more: 1, or 0',
} as const;

type TreeRow = { readonly [N in keyof typeof ofTree]: number | null };
type WitnessRow = { witness: string } & { readonly [N in keyof typeof ofWitness]: number };

/** Where there is no tree, nothing is signed. */
export function proofFigures(registry: Registry, sql: Knex): void {
  for (const [name, help] of Object.entries(ofTree) as [keyof typeof ofTree, string][]) {
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        const [row] = await rowsOf<TreeRow>(sql, treeQuery);
        this.set(row?.[name] ?? 0);
      },
    });
  }
  for (const [name, help] of Object.entries(ofWitness) as [keyof typeof ofWitness, string][]) {
    new Gauge({
      name,
      help,
      labelNames: ['witness'],
      registers: [registry],
      async collect() {
        this.reset();
        for (const row of await rowsOf<WitnessRow>(sql, witnessQuery))
          this.set({ witness: row.witness }, row[name]);
      },
    });
  }
}

const treeQuery = `
  select t.size as apphub_audit_tree_events,
    (select max(c.size) from audit_checkpoints c where c.origin = h.origin) as apphub_audit_signed_events
  from audit_trees t left join lateral (select origin from audit_heads order by at desc limit 1) h on true
  where t.is_current`;

const witnessQuery = `
  select name as witness, size as apphub_audit_witness_events,
    case when problem is null then 0 else 1 end as apphub_audit_witness_failing
  from audit_witnesses`;

async function rowsOf<R>(sql: Knex, query: string): Promise<readonly R[]> {
  return sql.raw(query).then(
    ({ rows }) => rows,
    () => [],
  );
}
