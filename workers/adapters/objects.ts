/** Objects in a folder or in S3 and what speaks its language (MinIO, Ceph, R2, …): the same promises either way. */
import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { type Objects, openFolderObjects, requireKey } from '../../platform/objects.ts';
import { putParts } from './objects-parts.ts';

const attemptsMax = 3;

export type S3Options = {
  readonly bucket: string;
  readonly region?: string;
  /** The address of another S3 than Amazon's. Buckets are then part of the path. */
  readonly endpoint?: string;
  /** Without them the SDK looks in the environment and at the machine's role. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Put before each key, as in `apphub/`. */
  readonly prefix?: string;
};

export function openObjects(where: { readonly folder: string } | { readonly s3: S3Options }): Objects {
  return 'folder' in where ? openFolderObjects(where.folder) : openS3Objects(where.s3);
}

function openS3Objects({
  bucket,
  region = 'us-east-1',
  endpoint,
  credentials,
  prefix = '',
}: S3Options): Objects {
  const client = new S3Client({
    region,
    maxAttempts: attemptsMax,
    // Servers other than Amazon's do not all know the newer checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    ...(credentials === undefined ? {} : { credentials }),
  });
  const at = (key: string) => ({ Bucket: bucket, Key: `${prefix}${requireKey(key)}` });
  return {
    async put(key, bytes, { contentType }) {
      await client.send(new PutObjectCommand({ ...at(key), Body: bytes, ContentType: contentType }));
    },
    putFile: (key, file, { contentType }) => putParts(client, at(key), file, contentType),
    async get(key, from = 0) {
      const range = from === 0 ? {} : { Range: `bytes=${from}-` };
      const found = await client.send(new GetObjectCommand({ ...at(key), ...range })).catch(error => {
        // It is there, and has not so many bytes.
        if (statusOf(error) === 416)
          return { Body: Readable.from([]), ContentType: undefined, ContentLength: 0 };
        return absent(error);
      });
      if (!(found?.Body instanceof Readable)) return undefined;
      const { Body: stream, ContentType: contentType, ContentLength: bytes } = found;
      return { stream, contentType: contentType ?? 'application/octet-stream', bytes: bytes ?? 0 };
    },
    async has(key) {
      return (await client.send(new HeadObjectCommand(at(key))).catch(absent)) !== undefined;
    },
    async remove(key) {
      await client.send(new DeleteObjectCommand(at(key)));
    },
    async *list(begins) {
      let token: string | undefined;
      do {
        const page = await client.send(
          new ListObjectsV2Command({
            Bucket: bucket,
            Prefix: `${prefix}${begins}`,
            ContinuationToken: token,
          }),
        );
        for (const {
          Key: key = '',
          Size: bytes = 0,
          LastModified: changedAt = new Date(0),
        } of page.Contents ?? [])
          yield { key: key.slice(prefix.length), bytes, changedAt };
        token = page.NextContinuationToken;
      } while (token !== undefined);
    },
  };
}

const statusOf = (error: unknown) =>
  error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;

/** A HEAD has no body and so no error code, only its status. A bucket that is missing is an error all the same. */
function absent(error: unknown): undefined {
  const isAbsent = error instanceof S3ServiceException && statusOf(error) === 404;
  if (isAbsent && error.name !== 'NoSuchBucket') return undefined;
  throw error;
}
