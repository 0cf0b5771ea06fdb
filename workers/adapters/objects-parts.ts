/** A file into S3, in parts: one of them is in memory at a time, and one that fails is sent again alone. */
import { type FileHandle, open } from 'node:fs/promises';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';

/** S3 takes parts of 5 MiB and more, and ten thousand of them. */
const partBytesMin = 8 * 1024 * 1024;
const partsMax = 9_000;

type Place = { readonly Bucket: string; readonly Key: string };

export async function putParts(
  client: S3Client,
  at: Place,
  file: string,
  contentType: string,
): Promise<void> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    const partBytes = Math.max(partBytesMin, Math.ceil(size / partsMax));
    if (size <= partBytes) {
      const Body = await read(handle, 0, size);
      await client.send(new PutObjectCommand({ ...at, Body, ContentType: contentType }));
      return;
    }
    await abortOthers(client, at);
    await putAll(client, at, { handle, size, partBytes, contentType });
  } finally {
    await handle.close();
  }
}

type Source = {
  readonly handle: FileHandle;
  readonly size: number;
  readonly partBytes: number;
  readonly contentType: string;
};

async function putAll(
  client: S3Client,
  at: Place,
  { handle, size, partBytes, contentType }: Source,
): Promise<void> {
  const { UploadId } = await client.send(
    new CreateMultipartUploadCommand({ ...at, ContentType: contentType }),
  );
  const of = { ...at, UploadId };
  try {
    const Parts: { PartNumber: number; ETag: string | undefined }[] = [];
    for (let from = 0; from < size; from += partBytes) {
      const PartNumber = Parts.length + 1;
      const Body = await read(handle, from, Math.min(partBytes, size - from));
      const { ETag } = await client.send(new UploadPartCommand({ ...of, PartNumber, Body }));
      Parts.push({ PartNumber, ETag });
    }
    await client.send(new CompleteMultipartUploadCommand({ ...of, MultipartUpload: { Parts } }));
  } catch (error) {
    await client.send(new AbortMultipartUploadCommand(of)).catch(() => undefined);
    throw error;
  }
}

/** Parts of an upload that was cut off lie there unseen and are paid for. Not every store can say that it has any. */
async function abortOthers(client: S3Client, at: Place): Promise<void> {
  const found = await client
    .send(new ListMultipartUploadsCommand({ Bucket: at.Bucket, Prefix: at.Key }))
    .catch(() => undefined);
  for (const { Key, UploadId } of found?.Uploads ?? []) {
    if (Key === at.Key)
      await client.send(new AbortMultipartUploadCommand({ ...at, UploadId })).catch(() => undefined);
  }
}

async function read(handle: FileHandle, from: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(bytes);
  const { bytesRead } = await handle.read(buffer, 0, bytes, from);
  if (bytesRead < bytes) throw new Error('The file became shorter while it was read');
  return buffer;
}
