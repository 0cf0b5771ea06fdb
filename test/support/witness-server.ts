/** A witness as C2SP tlog-witness has it: it signs what goes on from what it has seen, and nothing else. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Checkpoint, parseCheckpoint } from '../../platform/proof/checkpoint.ts';
import { provesConsistency } from '../../platform/proof/merkle.ts';
import { cosign, keyTypes, newSigner } from '../../platform/proof/note.ts';

export async function startWitness() {
  const signer = newSigner('witness.example', keyTypes.witness);
  const bodies: string[] = [];
  let seen: Checkpoint | undefined;
  /** What is answered in the place of everything else. */
  let answer: { status: number; text: string } | undefined;
  const decide = (body: string): { status: number; type?: string; text: string } => {
    if (answer !== undefined) return answer;
    const middle = body.indexOf('\n\n');
    const [first = '', ...proof] = body.slice(0, middle).split('\n');
    const checkpoint = parseCheckpoint(body.slice(middle + 2));
    const old = Number(/^old (\d+)$/.exec(first)?.[1]);
    if (old !== (seen?.size ?? 0))
      return { status: 409, type: 'text/x.tlog.size', text: `${seen?.size ?? 0}\n` };
    const hashes = proof.map(hash => Buffer.from(hash, 'base64'));
    if (seen !== undefined && !provesConsistency(hashes, seen, checkpoint)) return { status: 422, text: '' };
    seen = checkpoint;
    return { status: 200, text: cosign(checkpoint.parsed.text, signer, Math.floor(Date.now() / 1_000)) };
  };
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', part => {
      body += part;
    });
    request.on('end', () => {
      bodies.push(body);
      const { status, type = 'text/plain', text } = decide(body);
      response.writeHead(status, { 'content-type': type }).end(text);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/add-checkpoint`,
    key: signer,
    bodies,
    seen: () => seen,
    see(checkpoint: Checkpoint | undefined): void {
      seen = checkpoint;
    },
    /** Undefined: as a witness should. */
    answer(given: typeof answer): void {
      answer = given;
    },
    async close(): Promise<void> {
      server.close();
      server.closeAllConnections();
    },
  };
}
