/** Base images for tests, made from what this machine has: no registry is asked. */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import Dockerode from 'dockerode';
import { pack } from 'tar-fs';

const run = promisify(execFile);

export const busyboxImage = 'apphub-test/busybox:1';
export const nodeImage = 'apphub-test/node:1';
/** Static, from Debian's package busybox-static. */
const busybox = '/bin/busybox';

const base = `FROM scratch
COPY . /
RUN ["/bin/busybox", "--install", "-s", "/bin"]
ENV PATH=/usr/local/bin:/bin
`;

/** Makes `busyboxImage` (a shell and httpd) and `nodeImage` (that, and this Node) unless they are there. */
export async function ensureTestImages(docker = new Dockerode()): Promise<void> {
  await ensureImage(docker, busyboxImage, base, {});
  const libraries = await librariesOf(process.execPath);
  const files = Object.fromEntries(libraries.map(file => [file, file]));
  await ensureImage(docker, nodeImage, base, { ...files, '/usr/local/bin/node': process.execPath });
}

async function ensureImage(
  docker: Dockerode,
  tag: string,
  dockerfile: string,
  files: Record<string, string>,
): Promise<void> {
  const known = await docker.listImages({ filters: { reference: [tag] } });
  if (known.length > 0) return;
  const root = await mkdtemp(path.join(os.tmpdir(), 'apphub-image-'));
  try {
    for (const [target, source] of Object.entries({ ...files, '/bin/busybox': busybox })) {
      const file = path.join(root, target);
      await mkdir(path.dirname(file), { recursive: true });
      await copyFile(source, file);
    }
    await mkdir(path.join(root, 'etc'), { recursive: true });
    await mkdir(path.join(root, 'tmp'), { mode: 0o777 });
    await writeFile(
      path.join(root, 'etc/passwd'),
      'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n',
    );
    await writeFile(path.join(root, 'Dockerfile'), dockerfile);
    await writeFile(path.join(root, '.dockerignore'), 'Dockerfile\n.dockerignore\n');
    const context = pack(root, { map: header => ({ ...header, uid: 0, gid: 0 }), umask: 0 });
    const output = await docker.buildImage(context, { t: tag, rm: true, forcerm: true });
    await finished(docker, output);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

function finished(docker: Dockerode, output: NodeJS.ReadableStream): Promise<void> {
  return new Promise((resolve, reject) =>
    docker.modem.followProgress(output, error => (error ? reject(error) : resolve())),
  );
}

/** What a program links against, at the places where its loader looks. */
async function librariesOf(program: string): Promise<string[]> {
  const { stdout } = await run('ldd', [program]);
  const named = [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, file = '']) => file);
  const found = await Promise.all(named.map(async file => ((await stat(file)).isFile() ? file : '')));
  return found.filter(file => file !== '');
}
