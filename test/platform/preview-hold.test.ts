/** Visits of what is asleep: held without being read, woken once, answered when it runs, and told why when it does not. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, suite, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { Refusal } from '../../domain/kernel/refusal.ts';
import { asBrowser, comingUp, isOver, startPreview } from '../support/preview.ts';

const asleep = (name: string, deployment = 1) =>
  comingUp(name, { isAsleep: true, deployment, title: 'Waking up' });

suite('launches that are asleep', async () => {
  const woken: string[] = [];
  const wakes = new Map<string, () => Promise<void>>();
  const preview = await startPreview({
    wake: async name => {
      woken.push(name);
      await wakes.get(name)?.();
    },
  });
  after(() => preview.close());
  const timesOf = (name: string) => woken.filter(one => one === name).length;
  /** An app that says what it was asked, asleep until it is woken. */
  const sleeper = async (name: string) => {
    await preview.app(name, async (request, response) => {
      let body = '';
      for await (const part of request.setEncoding('utf8')) body += part;
      response.end(`${request.method} ${body}`);
    });
    const up = preview.play.targets.get(name)!;
    preview.play.set(name, asleep(name));
    const rise = () => {
      preview.play.set(name, comingUp(name, { deployment: 2 }));
      preview.play.set(name, up);
    };
    wakes.set(name, async () => rise());
    return { rise };
  };

  test('a hundred visitors at once wake it once, and each is answered', async () => {
    const { rise } = await sleeper('crowd');
    wakes.set('crowd', async () => undefined);
    const visits = Array.from({ length: 100 }, (_, at) =>
      preview.visit('crowd', '/', { method: 'POST', body: `visitor ${at}` }),
    );
    while (preview.visits.filter(one => one === 'crowd').length < 100) await new Promise(setImmediate);
    rise();
    const answers = await Promise.all(visits);
    assert.deepEqual(
      answers.map(({ status, text }) => `${status} ${text}`),
      answers.map((_, at) => `200 POST visitor ${at}`),
    );
    assert.equal(timesOf('crowd'), 1);
  });

  test('the body is not read meanwhile, and not asked for', async () => {
    const { rise } = await sleeper('patient');
    wakes.set('patient', async () => undefined);
    const socket = connect(preview.port, '127.0.0.1');
    let text = '';
    socket.setEncoding('latin1').on('data', (part: string) => {
      text += part;
    });
    const head = 'POST / HTTP/1.1\r\nhost: patient.localhost\r\ncontent-length: 5\r\nconnection: close\r\n';
    socket.write(`${head}expect: 100-continue\r\n\r\n`);
    while (timesOf('patient') === 0) await new Promise(setImmediate);
    assert.equal(text, '');
    rise();
    while (!text.includes('100 Continue')) await once(socket, 'data');
    socket.write('hello');
    await once(socket, 'close');
    assert.match(text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n[\s\S]*POST hello/);
  });

  test('a WebSocket waits as well', async () => {
    const sockets = new WebSocketServer({ noServer: true });
    await preview.app(
      'chat',
      (_request, response) => response.end(),
      (incoming, socket, head) =>
        sockets.handleUpgrade(incoming as never, socket, head, client => client.send('awake')),
    );
    const up = preview.play.targets.get('chat')!;
    preview.play.set('chat', asleep('chat'));
    wakes.set('chat', async () => preview.play.set('chat', up));
    const client = new WebSocket(`ws://127.0.0.1:${preview.port}/`, { headers: { host: 'chat.localhost' } });
    const [message] = await once(client, 'message');
    assert.equal(String(message), 'awake');
    assert.equal(preview.staying.get('chat'), 1);
    client.terminate();
    while (preview.staying.get('chat') !== 0) await new Promise(setImmediate);
    assert.equal(timesOf('chat'), 1);
  });

  test('people see what goes on when it takes longer, and programs wait', async () => {
    const own = await startPreview({ limits: { holdMsMax: 100 } });
    own.play.set('slow', asleep('slow'));
    const page = await own.visit('slow', '/', { headers: asBrowser });
    assert.equal(page.status, 503);
    assert.match(page.text, /<title>Waking up<\/title>/);
    assert.match(page.text, /<progress/);
    assert.match(page.text, /http-equiv="refresh" content="1"/);
    const program = await own.visit('slow');
    assert.deepEqual([program.status, program.headers['retry-after']], [503, '5']);
    assert.match(JSON.parse(program.text).detail, /takes longer/);
    await own.close();
  });

  test('why it is not woken is said', async () => {
    preview.play.set('refused', asleep('refused'));
    wakes.set('refused', async () => {
      throw new Refusal('launch/already-ended');
    });
    const refused = await preview.visit('refused');
    assert.equal(refused.status, 503);
    assert.match(refused.text, /The launch has already ended\./);
    preview.play.set('broken', asleep('broken'));
    wakes.set('broken', async () => {
      throw new Error('password=secret');
    });
    const broken = await preview.visit('broken');
    assert.match(broken.text, /cannot bring it up right now/);
    assert.doesNotMatch(broken.text, /secret/);
    assert.ok(preview.logged.includes('a launch was not woken'));
  });

  test('a container that fails while it is waited for ends the wait with its reason', async () => {
    preview.play.set('crash', asleep('crash'));
    wakes.set('crash', async () => {
      preview.play.set('crash', comingUp('crash', { deployment: 2 }));
      const message = 'The app did not come up. It ended with exit code 3.';
      preview.play.set('crash', { ...asleep('crash', 2), message });
    });
    const { status, text } = await preview.visit('crash');
    assert.equal(status, 503);
    assert.match(text, /exit code 3/);
    assert.equal(timesOf('crash'), 1, 'whoever comes next may try again');
    preview.play.set('ends', comingUp('ends'));
    const visit = preview.visit('ends');
    while (!preview.visits.includes('ends')) await new Promise(setImmediate);
    preview.play.set('ends', isOver('ends'));
    assert.equal((await visit).status, 410);
    assert.equal(timesOf('ends'), 0, 'it was coming up by itself');
  });

  test('whoever leaves while he waits is forgotten, and so many wait and no more', async () => {
    const own = await startPreview();
    own.play.set('full', comingUp('full'));
    const sockets = Array.from({ length: 500 }, () => {
      const socket = connect(own.port, '127.0.0.1');
      socket.on('error', () => undefined);
      return socket.on('connect', () => socket.write('GET / HTTP/1.1\r\nhost: full.localhost\r\n\r\n'));
    });
    while (own.visits.length < 500) await new Promise(setImmediate);
    const { status, text } = await own.visit('full');
    assert.deepEqual([status, JSON.parse(text).code], [503, 'too-many-visitors']);
    for (const socket of sockets) socket.destroy();
    while (own.staying.get('full') !== 0) await new Promise(setImmediate);
    const visit = own.visit('full');
    while (own.visits.length < 502) await new Promise(setImmediate);
    own.play.set('full', isOver('full'));
    assert.equal((await visit).status, 410);
    await own.close();
  });
});
