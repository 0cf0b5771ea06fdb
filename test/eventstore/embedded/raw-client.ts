/** A gRPC client with nothing between: for what the official clients would never send. */
import { type ClientHttp2Session, connect } from 'node:http2';

export type RawAnswer = {
  readonly status: number;
  readonly message: string;
  readonly trailers: Record<string, unknown>;
  readonly messages: Buffer[];
};

export function rawClient(port: number) {
  const session: ClientHttp2Session = connect(`http://127.0.0.1:${port}`);
  session.on('error', () => undefined);
  return {
    session,
    close: () => session.destroy(),
    /** Sends the frames as they are and waits for the ending. */
    call(
      path: string,
      frames: readonly Uint8Array[],
      headers: Record<string, string> = {},
    ): Promise<RawAnswer> {
      return new Promise((resolve, reject) => {
        const stream = session.request({
          ':method': 'POST',
          ':path': path,
          'content-type': 'application/grpc',
          te: 'trailers',
          ...headers,
        });
        let ending: Record<string, unknown> = {};
        const chunks: Buffer[] = [];
        stream.on('response', found => {
          if ('grpc-status' in found) ending = found;
        });
        stream.on('trailers', found => {
          ending = found;
        });
        stream.on('data', chunk => chunks.push(chunk));
        stream.on('error', reject);
        stream.on('end', () =>
          resolve({
            status: Number(ending['grpc-status']),
            message: decodeURIComponent(String(ending['grpc-message'] ?? '')),
            trailers: ending,
            messages: split(Buffer.concat(chunks)),
          }),
        );
        for (const frame of frames) stream.write(frame);
        if (headers['x-keep-open'] === undefined) stream.end();
      });
    },
  };
}

function split(bytes: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at + 1);
    found.push(bytes.subarray(at + 5, at + 5 + length));
    at += 5 + length;
  }
  return found;
}
