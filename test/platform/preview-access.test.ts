/** Who is let in to a private launch, and who is not: by a grant in the address once, by the cookie it leaves, or by a field. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, suite, test } from 'node:test';
import { parseSetCookie } from 'cookie';
import fc from 'fast-check';
import { WebSocket, WebSocketServer } from 'ws';
import { openGrants } from '../../platform/preview-grant.ts';
import { asBrowser, startPreview } from '../support/preview.ts';

const other = openGrants(['somebody else’s secret']);

suite('private launches', async () => {
  const preview = await startPreview({ isPlatformToken: () => false, trustedProxies: ['127.0.0.1'] });
  after(() => preview.close());
  const { port } = preview;
  const seen: { url: string; headers: Record<string, string> }[] = [];
  const sockets = new WebSocketServer({ noServer: true });
  await preview.app(
    'app',
    (request, response) => {
      seen.push({ url: request.url ?? '', headers: request.headers as Record<string, string> });
      response.setHeader('set-cookie', [
        '__Host-apphub-preview=mine; Path=/; Secure',
        'own=1; Domain=localhost',
      ]);
      response.end('inside');
    },
    (incoming, socket, head) =>
      sockets.handleUpgrade(incoming as never, socket, head, client => client.send('inside')),
  );
  const target = preview.play.targets.get('app')!;
  preview.play.set('app', { ...target, access: 'private', linkEpoch: 3 });
  const grant = (more = {}) => preview.grant('app', { linkEpoch: 3, ...more });
  const past = Math.floor(Date.now() / 1_000) - 1;
  const cookieOf = (token: string, name = '__Host-apphub-preview') => ({ cookie: `${name}=${token}` });
  const visit = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    preview.visit('app', path, { headers, method });
  const codeOf = (text: string) => JSON.parse(text).code;

  test('whoever brings nothing, or what was never good, is told where to go', async () => {
    for (const given of [
      undefined,
      '',
      'x',
      other.make({ launchId: 'app', kind: 'link', expiresAtSeconds: past + 100, linkEpoch: 3, linkId: '' }),
      `${grant()}x`,
      preview.grant('another', { linkEpoch: 3 }),
      grant({ linkEpoch: 2 }),
      grant({ expiresAtSeconds: past }),
    ]) {
      for (const [path, headers] of [
        [`/?__apphub_grant=${given ?? ''}`, {}],
        ['/', given === undefined ? {} : cookieOf(given)],
        ['/', given === undefined ? {} : { 'x-apphub-grant': given }],
      ] as const) {
        const program = await visit(path, headers);
        assert.deepEqual([program.status, codeOf(program.text)], [401, 'grant-required'], given);
        assert.match(String(program.headers['www-authenticate']), /^AppHub-Grant /);
        assert.equal(program.headers['set-cookie'], undefined);
      }
    }
    const page = await visit('/deep?x=1&y=%2F', asBrowser);
    assert.equal(page.status, 401);
    assert.match(page.text, /<h1>This preview is private<\/h1>/);
    const place = encodeURIComponent('/deep?x=1&y=%2F');
    assert.ok(page.text.includes(`href="http://localhost:${port}/launches/app/open?to=${place}"`), page.text);
    assert.equal(page.headers['referrer-policy'], 'no-referrer');
    assert.equal(page.headers['cache-control'], 'no-store');
    assert.deepEqual(seen, [], 'nothing of it has reached the app');
  });

  test('a grant in the address becomes a cookie, and the address is clean', async () => {
    const token = grant({ expiresAtSeconds: past + 601 });
    for (const [asked, clean] of [
      [`/?__apphub_grant=${token}`, '/'],
      [`/a//b?x=%zz&__apphub_grant=${token}&y=1+2&x`, '/a//b?x=%zz&y=1+2&x'],
      [`/?__apphub%5Fgrant=${token}&__apphub_grant=other`, '/'],
      // A path that a browser would take for another host (RFC 3986 4.2).
      [`//evil.example/x?__apphub_grant=${token}`, '//evil.example/x'],
      [`/\\evil.example?__apphub_grant=${token}`, '/\\evil.example'],
    ]) {
      const { status, headers, text } = await visit(asked!, asBrowser);
      assert.deepEqual([status, text], [303, ''], asked);
      assert.equal(headers.location, `http://app.localhost:${port}${clean}`);
      assert.equal(new URL(headers.location ?? '').host, `app.localhost:${port}`);
      assert.deepEqual([headers['cache-control'], headers['referrer-policy']], ['no-store', 'no-referrer']);
      const { expires: _, ...cookie } = parseSetCookie(headers['set-cookie']?.[0] ?? '');
      assert.ok((cookie.maxAge ?? 0) > 590 && (cookie.maxAge ?? 0) <= 602, String(cookie.maxAge));
      assert.deepEqual(
        { ...cookie, maxAge: 0 },
        {
          name: '__Host-apphub-preview',
          value: token,
          maxAge: 0,
          path: '/',
          httpOnly: true,
          secure: true,
          sameSite: 'none',
          partitioned: true,
        },
      );
    }
    assert.deepEqual(seen, []);
  });

  test('over HTTPS the cookie is the same, and without it it is one for a window of its own', async () => {
    const own = await startPreview({ domain: 'preview.example.net', trustedProxies: ['127.0.0.1'] });
    own.play.set('app', { ...target, access: 'private' });
    const ask = (headers: Record<string, string>) =>
      own.visit('app', `/?__apphub_grant=${own.grant('app')}`, {
        headers: { ...asBrowser, host: 'app.preview.example.net', ...headers },
      });
    const safe = await ask({ 'x-forwarded-proto': 'https' });
    assert.equal(safe.headers.location, 'https://app.preview.example.net/');
    assert.match(
      String(safe.headers['set-cookie']),
      /^__Host-apphub-preview=.*Secure.*Partitioned.*SameSite=None$/,
    );
    const plain = await ask({});
    assert.equal(plain.headers.location, 'http://app.preview.example.net/');
    assert.match(
      String(plain.headers['set-cookie']),
      /^apphub-preview=[^;]*; Max-Age=\d+; Path=\/; HttpOnly; SameSite=Lax$/,
    );
    await own.close();
  });

  test('the cookie lets its browser in, and the app sees nothing of it', async () => {
    for (const name of ['__Host-apphub-preview', 'apphub-preview']) {
      const answer = await visit('/x', { cookie: `a=1; ${name}=${grant()}; b=2` });
      assert.deepEqual([answer.status, answer.text], [200, 'inside']);
      assert.deepEqual(answer.headers['set-cookie'], ['own=1'], 'an app sets no cookie of the platform');
      assert.equal(seen.at(-1)?.headers.cookie, 'a=1; b=2');
    }
    // An app has set one of the same name by script.
    assert.equal(
      (await visit('/', { cookie: `__Host-apphub-preview=x; __Host-apphub-preview=${grant()}` })).status,
      200,
    );
    const many = `${'__Host-apphub-preview=x; '.repeat(50)}__Host-apphub-preview=${grant()}`;
    assert.equal((await visit('/', { cookie: many })).status, 401);
  });

  test('programs send it as a field, or in the address, and neither gets to the app', async () => {
    const token = grant();
    for (const [path, headers] of [
      ['/x?a=1', { 'x-apphub-grant': token }],
      [`/x?__apphub_grant=${token}&a=1`, {}],
      [`/x?a=1&__apphub_grant=${token}`, { accept: '*/*', referer: `http://h/?__apphub_grant=${token}` }],
    ] as const) {
      assert.equal((await visit(path, headers)).text, 'inside');
      assert.equal(seen.at(-1)?.url, '/x?a=1');
      assert.ok(!JSON.stringify(seen.at(-1)).includes(token));
    }
    for (const authorization of [
      `Bearer ${token}`,
      `Basic ${btoa(`x:${token}`)}`,
      `Basic ${btoa(`${token}:`)}`,
    ]) {
      assert.equal((await visit('/', { 'x-apphub-grant': token, authorization })).text, 'inside');
      assert.equal(seen.at(-1)?.headers.authorization, undefined);
    }
    assert.ok(!JSON.stringify(preview.logged).includes('apg1'));
  });

  test('to raise the number of its links ends all of them at once', async () => {
    const tokens = [grant(), grant({ kind: 'link' })];
    for (const token of tokens) assert.equal((await visit('/', cookieOf(token))).status, 200);
    preview.play.set('app', { ...target, access: 'private', linkEpoch: 4 });
    for (const token of tokens) {
      for (const headers of [cookieOf(token), { 'x-apphub-grant': token }]) {
        assert.equal((await visit('/', headers)).status, 401);
      }
    }
    assert.match((await visit('/', cookieOf(tokens[1]!))).text, /have been revoked/);
    preview.play.set('app', { ...target, access: 'private', linkEpoch: 3 });
  });

  test('somebody who is signed in is let in again by way of the platform; who came by a link is not', async () => {
    const expired = cookieOf(grant({ expiresAtSeconds: past }));
    const { status, headers } = await visit('/x?y=1', { ...asBrowser, ...expired });
    assert.deepEqual(
      [status, headers.location],
      [303, `http://localhost:${port}/launches/app/open?to=%2Fx%3Fy%3D1`],
    );
    assert.equal(headers['cache-control'], 'no-store');
    const before = grant({ linkEpoch: 2, expiresAtSeconds: past });
    assert.equal((await visit('/', { ...asBrowser, ...cookieOf(before) })).status, 303);
    // In a frame the platform cannot be gone through; a program, a script or a form does not want it.
    for (const more of [
      { ...asBrowser, 'sec-fetch-dest': 'iframe' },
      { accept: '*/*', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' },
      {},
    ]) {
      assert.equal((await visit('/', { ...more, ...expired })).status, 401);
    }
    assert.equal((await visit('/', { ...asBrowser, ...expired }, 'POST')).status, 401);
    const link = cookieOf(grant({ kind: 'link', expiresAtSeconds: past }));
    const guest = await visit('/', { ...asBrowser, ...link });
    assert.equal(guest.status, 401);
    assert.match(guest.text, /The time of what you were let in with is over/);
    // One in the address that is over leads nowhere: two clocks that differ would send somebody round for ever.
    assert.equal(
      (await visit(`/?__apphub_grant=${grant({ expiresAtSeconds: past })}`, asBrowser)).status,
      401,
    );
    const old = await visit(`/?__apphub_grant=${grant({ expiresAtSeconds: past })}`, {
      ...asBrowser,
      ...cookieOf(grant()),
    });
    assert.deepEqual([old.status, old.headers.location], [303, `http://app.localhost:${port}/`]);
    assert.equal(old.headers['set-cookie'], undefined);
  });

  test('pages of other origins are not served by the cookie of whoever looks at them', async () => {
    const cookie = cookieOf(grant());
    const own = `http://app.localhost:${port}`;
    const ask = (headers: Record<string, string>, method = 'GET') =>
      visit('/', { ...cookie, ...headers }, method);
    for (const [headers, method] of [
      [{ 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors', origin: own }, 'POST'],
      // A form of its own page with a strict referrer policy.
      [{ 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'navigate', origin: 'null' }, 'POST'],
      [{ 'sec-fetch-site': 'none', ...asBrowser }, 'GET'],
      [{ 'sec-fetch-site': 'cross-site', ...asBrowser }, 'GET'],
      [{ 'sec-fetch-site': 'cross-site', ...asBrowser, 'sec-fetch-dest': 'iframe' }, 'GET'],
      [{ origin: own }, 'POST'],
      [{}, 'POST'],
    ] as const) {
      assert.equal((await ask(headers, method)).status, 200, JSON.stringify(headers));
    }
    for (const [headers, method] of [
      [{ 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors' }, 'GET'],
      [{ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors', origin: 'https://evil.example' }, 'GET'],
      [{ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, 'POST'],
      [{ 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'websocket' }, 'GET'],
      [{ origin: 'https://evil.example' }, 'POST'],
      [{ origin: `http://b.localhost:${port}` }, 'GET'],
      [{ origin: `http://app.localhost.evil.example:${port}` }, 'GET'],
      [{ origin: 'null' }, 'GET'],
    ] as const) {
      const { status, text } = await ask(headers, method);
      assert.equal(status, 403, JSON.stringify(headers));
      assert.match(text, /A page of another origin asked for it/);
    }
    // What a page cannot make a browser send is taken from anywhere.
    const field = {
      'x-apphub-grant': grant(),
      origin: 'https://board.example',
      'sec-fetch-site': 'cross-site',
    };
    assert.equal((await visit('/', field)).status, 200);
  });

  test('a new grant takes the place of one that is about to end, and the app hears nothing of it', async () => {
    const count = seen.length;
    const path = '/.well-known/apphub/grant';
    const token = grant();
    const renewed = await visit(`${path}?__apphub_grant=${token}`, {
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'no-cors',
    });
    assert.deepEqual([renewed.status, renewed.text], [204, '']);
    assert.match(String(renewed.headers['set-cookie']), new RegExp(`^__Host-apphub-preview=${token};`));
    assert.equal((await visit(path, cookieOf(token))).status, 401);
    assert.equal((await visit(`${path}?__apphub_grant=x`, cookieOf(token))).status, 401);
    assert.equal(seen.length, count);
  });

  test('WebSockets come by the cookie and from its own pages only', async () => {
    const own = `http://app.localhost:${port}`;
    const open = (headers: Record<string, string>, path = '/') =>
      new WebSocket(`ws://127.0.0.1:${port}${path}`, {
        headers: { host: `app.localhost:${port}`, ...headers },
      });
    const answers = async (client: WebSocket) => {
      client.on('error', () => undefined);
      const [first] = await Promise.race([
        once(client, 'message'),
        once(client, 'unexpected-response').then(([, answer]) => [answer.statusCode]),
      ]);
      client.terminate();
      return String(first);
    };
    const cookie = cookieOf(grant());
    assert.equal(await answers(open({ ...cookie, origin: own })), 'inside');
    assert.equal(await answers(open({ 'x-apphub-grant': grant() })), 'inside');
    assert.equal(await answers(open({}, `/?__apphub_grant=${grant()}`)), 'inside');
    assert.equal(await answers(open({ origin: own })), '401');
    assert.equal(await answers(open({ ...cookie, origin: `http://b.localhost:${port}` })), '403');
    assert.equal(await answers(open({ ...cookie, origin: 'null' })), '403');
  });

  test('public ones need none, and a link to one that became public still works', async () => {
    preview.play.set('app', target);
    assert.equal((await visit('/')).text, 'inside');
    assert.equal((await visit('/?__apphub_grant=x')).text, 'inside');
    assert.equal(seen.at(-1)?.url, '/');
    const linked = await visit('/?__apphub_grant=x&a=1', asBrowser);
    assert.deepEqual([linked.status, linked.headers.location], [303, `http://app.localhost:${port}/?a=1`]);
    assert.equal(
      (await visit('/', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' })).status,
      200,
    );
    preview.play.set('app', { ...target, access: 'private', linkEpoch: 3 });
  });

  test('nothing that anybody makes up gets in', async () => {
    const count = seen.length;
    const token = grant();
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.stringMatching(/^[!-~]{0,60}$/),
          fc.nat(token.length - 1).map(at => token.slice(0, at)),
        ),
        fc.constantFrom('query', 'cookie', 'plain', 'field'),
        async (text, where) => {
          const headers =
            where === 'cookie'
              ? cookieOf(text)
              : where === 'plain'
                ? cookieOf(text, 'apphub-preview')
                : where === 'field'
                  ? { 'x-apphub-grant': text }
                  : {};
          const path = where === 'query' ? `/?__apphub_grant=${encodeURIComponent(text)}` : '/';
          assert.equal((await visit(path, headers)).status, 401);
        },
      ),
      { numRuns: 150 },
    );
    assert.equal(seen.length, count);
  });
});
