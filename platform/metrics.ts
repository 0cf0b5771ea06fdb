/** Figures for Prometheus: the process itself, and every request by route, method and status. */
import type { FastifyInstance } from 'fastify';
import type { Knex } from 'knex';
import { collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import type { Lags } from './projection-lag.ts';
import { projectionFigures } from './projection-metrics.ts';
import { proofFigures } from './proof-metrics.ts';

/** Seconds. */
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/**
 * Adds GET /metrics, in the text format of Prometheus. Routes are named by their pattern, so the number of series is bounded.
 * With `sql` also how the tables stand and what is signed, with `lags` how far behind.
 */
export async function registerMetrics(app: FastifyInstance, sql?: Knex, lags?: Lags): Promise<void> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  if (sql !== undefined) projectionFigures(registry, sql, lags);
  if (sql !== undefined) proofFigures(registry, sql);
  const seconds = new Histogram({
    name: 'apphub_http_request_seconds',
    help: 'From the first byte of a request to the last of its answer',
    labelNames: ['method', 'route', 'status'],
    buckets,
    registers: [registry],
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown';
    const labels = { method: request.method, route, status: String(reply.statusCode) };
    seconds.observe(labels, reply.elapsedTime / 1_000);
  });
  app.get(
    '/metrics',
    { config: { scope: 'metrics:read' }, schema: { tags: ['platform'], summary: 'Figures for Prometheus' } },
    async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()),
  );
}
