/**
 * Witnesses that are asked over HTTP: one that takes whatever it is posted, and one that speaks the protocol of C2SP
 * tlog-witness and signs only what goes on from what it has seen.
 */
import { lookup } from 'node:dns';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { isIP } from 'node:net';
import type { WitnessConfig } from '../../platform/audit-witness-config.ts';
import type { Checkpoint } from '../../platform/proof/checkpoint.ts';
import { NoteError, parseSignatures, type SignatureLine, verifyNote } from '../../platform/proof/note.ts';
import { Forked, type Handed, type Handing, type Witness } from '../access/witness.ts';
import { isPublic } from '../egress/address.ts';

const answerMsMax = 20_000;
const answerBytesMax = 64 * 1_024;
const sizeType = 'text/x.tlog.size';

type HttpConfig = WitnessConfig & { kind: 'http' | 'witness' };

export function httpWitness(config: HttpConfig): Witness {
  const { name, kind, everySeconds } = config;
  const hand = kind === 'witness' ? askToCosign : post;
  return { name, kind, everySeconds, hand: handing => hand(config, handing) };
}

/** The next one; who asks again brings the one after. */
async function post(config: HttpConfig, handing: Handing): Promise<Handed> {
  const [checkpoint] = await handing.beyond(handing.last);
  if (checkpoint === undefined) return { size: handing.last?.size ?? 0 };
  const { status, text } = await ask(config, checkpoint.note, handing.signal);
  if (status < 200 || status > 299) throw new Error(`It answered ${status}`);
  return { size: checkpoint.size, ...cosignedIn(config, checkpoint, text) };
}

/** The newest one, which stands for all before. */
async function askToCosign(config: HttpConfig, handing: Handing): Promise<Handed> {
  const checkpoint = (await handing.beyond(handing.last)).at(-1);
  if (checkpoint === undefined) return { size: handing.last?.size ?? 0 };
  let from = handing.last?.size ?? 0;
  for (let attempt = 1; ; attempt += 1) {
    const proof = await handing.consistency(from, checkpoint.size);
    const lines = proof.map(hash => `${hash.toString('base64')}\n`).join('');
    const { status, type, text } = await ask(
      config,
      `old ${from}\n${lines}\n${checkpoint.note}`,
      handing.signal,
    );
    if (status === 200) {
      const cosigned = cosignedIn(config, checkpoint, text);
      if (cosigned.cosigned === undefined) throw new Error('Its answer is not signed by its key');
      return { size: checkpoint.size, ...cosigned };
    }
    const has = status === 409 && type === sizeType ? Number(/^(\d{1,15})\n?$/.exec(text)?.[1]) : Number.NaN;
    if (status === 422 || has === from)
      throw new Forked(`It has seen another history of ${from} events than this one`);
    if (has > checkpoint.size)
      throw new Forked(
        `It has seen ${has} events, and there is no checkpoint of more than ${checkpoint.size}`,
      );
    if (!Number.isSafeInteger(has) || attempt > 1) throw new Error(`It answered ${status}`);
    from = has;
  }
}

/** What the answer says of the checkpoint, if it was signed by the key that is known. */
function cosignedIn({ key }: HttpConfig, checkpoint: Checkpoint, text: string): Pick<Handed, 'cosigned'> {
  if (key === undefined || text === '') return {};
  try {
    const signatures: readonly SignatureLine[] = parseSignatures(text.endsWith('\n') ? text : `${text}\n`);
    const lines = signatures.filter(({ name, id }) => name === key.name && id === key.id);
    const isSigned = verifyNote({ text: checkpoint.parsed.text, signatures: lines }, [key]).length > 0;
    return isSigned ? { cosigned: { checkpoint, lines } } : {};
  } catch (error) {
    if (error instanceof NoteError) throw new Error(`Its answer is no signature: ${error.message}`);
    throw error;
  }
}

type Answer = { readonly status: number; readonly type: string; readonly text: string };

/** One request, to a public address unless it may be a private one, whose answer is bounded in time and bytes. No redirects. */
function ask(config: HttpConfig, body: string, signal: AbortSignal): Promise<Answer> {
  const url = new URL(config.url);
  const isAllowed = (address: string) => config.isPrivate || isPublic(address);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 && !isAllowed(host)) return Promise.reject(notPublic(host));
  const authorization =
    config.tokenFile === undefined
      ? {}
      : { authorization: `Bearer ${readFileSync(config.tokenFile, 'utf8').trim()}` };
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const request = (url.protocol === 'https:' ? https : http).request(url, {
    method: 'POST',
    agent: false,
    signal: AbortSignal.any([signal, AbortSignal.timeout(answerMsMax)]),
    headers: {
      'content-type': 'text/plain; charset=utf-8',
      'content-length': Buffer.byteLength(body),
      'user-agent': 'apphub',
      ...authorization,
    },
    lookup: (name, options, done) => {
      lookup(name, { ...options, all: true }, (error, found) => {
        const open = (found ?? []).filter(({ address }) => isAllowed(address));
        const [first] = open;
        if (error !== null || first === undefined) done(error ?? notPublic(name), '');
        else if (options.all === true) done(null, open);
        else done(null, first.address, first.family);
      });
    },
  });
  request.once('error', reject);
  request.once('response', response => {
    const parts: Buffer[] = [];
    let bytes = 0;
    response.on('data', (part: Buffer) => {
      bytes += part.length;
      if (bytes > answerBytesMax) request.destroy(new Error('It says too much'));
      else parts.push(part);
    });
    response.once('error', reject);
    response.once('end', () => {
      const type = response.headers['content-type'] ?? '';
      resolve({ status: response.statusCode ?? 0, type, text: Buffer.concat(parts).toString('utf8') });
    });
  });
  request.end(body);
  return promise;
}

const notPublic = (host: string) =>
  new Error(`${host} leads to an address that is not public; "private": true would allow it`);
