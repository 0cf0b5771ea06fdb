/** The part of tar-fs that is used here; the package brings no types. */
declare module 'tar-fs' {
  import type { Readable } from 'node:stream';

  type Header = { name: string; mode: number; mtime: Date; size: number; uid: number; gid: number };
  type Archive = {
    entry(header: Partial<Header> & { name: string }, text: string): unknown;
    finalize(): void;
  };
  export function pack(
    directory: string,
    options: {
      /** Told the path joined to `directory`; a folder that is ignored is not entered. */
      ignore?: (file: string) => boolean;
      /** Names in the directory; all of it when absent. */
      entries?: readonly string[];
      map?: (header: Header) => Header;
      sort?: boolean;
      strict?: boolean;
      umask?: number;
      /** False: `finish` ends the archive, after what it adds. */
      finalize?: boolean;
      finish?: (tar: Archive) => void;
    },
  ): Readable;
}
