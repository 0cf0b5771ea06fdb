/** Figures for Prometheus. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { startApi } from '../support/api.ts';
import { assertProblem } from '../support/problem.ts';

suite('metrics', async () => {
  const api = await startApi({ tokens: { reader: ['metrics:read'], nothing: [] } });
  after(() => api.close());

  test('each request counts by method, pattern of the route and status, whatever was in its address', async () => {
    for (const id of ['abc', 'def', 'ghi']) await api.ask('GET', `/apps/${id}`);
    for (const place of ['/nothing', '/nothing-else', '/apps/x/y/z']) await api.ask('GET', place);
    await api.ask('POST', '/apps', { token: null });
    const { status, headers, text } = await api.ask('GET', '/metrics', { token: 'reader' });
    assert.equal(status, 200);
    assert.match(headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    const countOf = (labels: string) =>
      new RegExp(`^apphub_http_request_seconds_count\\{${labels}\\} (\\d+)$`, 'm').exec(text)?.[1];
    assert.equal(countOf('method="GET",route="/apps/:appId",status="404"'), '3');
    assert.equal(countOf('method="GET",route="unknown",status="404"'), '3');
    assert.equal(countOf('method="POST",route="/apps",status="401"'), '1');
    assert.doesNotMatch(text, /abc|nothing/);
    assert.match(text, /^process_cpu_seconds_total /m);
  });

  test('each projection says how many events it holds, and what the self-audit found', async () => {
    await api
      .sql('projection_audits')
      .insert({ name: 'apps_builds', rows: 7, wrong_rows: 2, checked_at: api.sql.fn.now() })
      .onConflict('name')
      .merge();
    const { text } = await api.ask('GET', '/metrics');
    assert.match(text, /^apphub_projection_events\{projection="apps_builds"\} \d+$/m);
    assert.match(text, /^apphub_projection_audit_wrong_rows\{projection="apps_builds"\} 2$/m);
    assert.match(text, /^apphub_projection_audit_age_seconds\{projection="apps_builds"\} [\d.e-]+$/m);
    assert.doesNotMatch(text, /apphub_projection_audit_wrong_rows\{projection="apps_tags"/);
  });

  test('they are not for everybody', async () => {
    assertProblem(await api.ask('GET', '/metrics', { token: null }), 401, 'unauthorized');
    assertProblem(await api.ask('GET', '/metrics', { token: 'nothing' }), 403, 'forbidden');
  });
});
