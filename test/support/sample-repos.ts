/** Bare Git repositories with small real apps, and the means to push to them. Their base images are made in images.ts. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Text or bytes of a file, the target of a symbolic link, or null to remove what is there. */
export type FileContent = string | Buffer | { link: string } | null;
export type Files = Record<string, FileContent>;

/** Served by git-server.ts at `<url>/<name>.git`. */
export type SampleRepo = { name: string; path: string; commit: string };

export type SampleRepos = Record<'node' | 'static' | 'nested' | 'none' | 'failing', SampleRepo>;

const environment = {
  PATH: process.env.PATH,
  HOME: os.tmpdir(),
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: os.devNull,
  GIT_AUTHOR_NAME: 'A Tester',
  GIT_AUTHOR_EMAIL: 'tester@example.org',
  GIT_COMMITTER_NAME: 'A Tester',
  GIT_COMMITTER_EMAIL: 'tester@example.org',
};

/** Runs git in a folder and gives what it printed. */
export function git(
  folder: string,
  args: string[],
  more: { input?: string | Buffer; env?: object } = {},
): string {
  return execFileSync('git', args, {
    cwd: folder,
    env: { ...environment, ...more.env },
    input: more.input ?? '',
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  }).trim();
}

/** Makes an empty bare repository whose HEAD is `main`. */
export function makeRepo(root: string, name: string): string {
  const repo = path.join(root, `${name}.git`);
  mkdirSync(repo, { recursive: true });
  git(repo, ['init', '--quiet', '--bare', '--initial-branch=main', '--template=']);
  return repo;
}

/** Adds a commit to a branch of a bare repository, as a push would; gives its SHA. Files not named stay as they are. */
export function commitTo(repo: string, files: Files, message: string, branch = 'main'): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'apphub-commit-'));
  const env = { GIT_INDEX_FILE: path.join(folder, 'index') };
  try {
    const parent = git(repo, ['for-each-ref', '--format=%(objectname)', `refs/heads/${branch}`]);
    if (parent !== '') git(repo, ['read-tree', parent], { env });
    for (const [name, content] of Object.entries(files)) {
      // Of no mode: the file is taken away. Git's own option for it wants a work tree.
      const line = content === null ? `0 ${'0'.repeat(40)}\t${name}` : entry(repo, name, content);
      git(repo, ['update-index', '--index-info'], { env, input: `${line}\n` });
    }
    const tree = git(repo, ['write-tree'], { env });
    const parents = parent === '' ? [] : ['-p', parent];
    const commit = git(repo, ['commit-tree', tree, ...parents, '-m', message]);
    git(repo, ['update-ref', `refs/heads/${branch}`, commit]);
    return commit;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function entry(repo: string, name: string, content: Exclude<FileContent, null>): string {
  const isLink = typeof content === 'object' && 'link' in content;
  const input = isLink ? content.link : content;
  const blob = git(repo, ['hash-object', '-w', '--stdin'], { input });
  return `${isLink ? '120000' : '100644'} ${blob}\t${name}`;
}

/** A picture of 1×1 pixels. */
export const pixelPng = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

const nodeServer = `
const http = require('node:http');
const port = Number(process.env.PORT ?? 3000);
const server = http.createServer((request, response) => {
  if (request.url === '/env') {
    response.setHeader('content-type', 'application/json');
    return response.end(JSON.stringify({ GREETING: process.env.GREETING ?? null }));
  }
  response.setHeader('content-type', 'text/html');
  response.end('<!doctype html><title>Counter</title><h1>Hello from the counter</h1>');
});
server.on('upgrade', (request, socket) => {
  const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
  const accept = require('node:crypto').createHash('sha1').update(key).digest('base64');
  const head = 'HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n';
  socket.write(head + 'Sec-WebSocket-Accept: ' + accept + '\\r\\n\\r\\n');
  const text = 'hello from ' + request.url;
  socket.end(Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text), Buffer.from([0x88, 0])]));
});
server.listen(port, '0.0.0.0', () => console.log('listening on ' + port));
process.on('SIGTERM', () => server.close(() => process.exit(0)));
`;

const samples: Record<keyof SampleRepos, { name: string; files: Files }> = {
  node: {
    name: 'node-app',
    files: {
      Dockerfile:
        'FROM apphub-test/node:1\nWORKDIR /app\nCOPY package.json server.js ./\nENV PORT=3000\nEXPOSE 3000\n' +
        'CMD ["node", "server.js"]\n',
      'package.json': JSON.stringify({
        name: 'counter',
        version: '1.0.0',
        description: 'Counts things',
        homepage: 'https://counter.example.org/',
        engines: { node: '>=20' },
        dependencies: { express: '^5.0.0' },
      }),
      'server.js': nodeServer,
      'README.md':
        '# Counter\n\nA small app that *counts* and [says hello](https://example.org).\n\n![The app](docs/app.png)\n',
      'docs/app.png': pixelPng,
      'tags.yaml': 'team: alpha\nkind:\n  - demo\n  - web\n',
    },
  },
  static: {
    name: 'static-site',
    files: {
      Dockerfile:
        'FROM apphub-test/busybox:1\nCOPY site /site\nEXPOSE 8080\n' +
        'CMD ["busybox", "httpd", "-f", "-p", "8080", "-h", "/site"]\n',
      'site/index.html': '<!doctype html><title>Static</title><h1>Hello from the static site</h1>\n',
      'README.md': 'Static site\n===========\n\nPages that never change.\n',
    },
  },
  nested: {
    name: 'nested',
    files: {
      'services/web/Dockerfile':
        'FROM apphub-test/busybox:1\nCOPY index.html /site/index.html\nEXPOSE 8080\n' +
        'CMD ["busybox", "httpd", "-f", "-p", "8080", "-h", "/site"]\n',
      'services/web/index.html': '<!doctype html><title>Nested</title><h1>Hello from below</h1>\n',
      'README.md': '# Nested\n\nIts Dockerfile is two folders down.\n',
    },
  },
  none: {
    name: 'no-dockerfile',
    files: { 'README.md': '# Nothing to build\n\nOnly words.\n', 'docs/notes.txt': 'notes\n' },
  },
  failing: {
    name: 'failing',
    files: {
      Dockerfile: 'FROM apphub-test/busybox:1\nRUN exit 3\nCMD ["busybox", "true"]\n',
      'README.md': '# Failing\n\nIts image cannot be built: the second step fails.\n',
    },
  },
};

/** Makes the five sample repositories below a folder. */
export function makeSampleRepos(root: string): SampleRepos {
  const made = Object.entries(samples).map(([key, { name, files }]) => {
    const repo = makeRepo(root, name);
    const commit = commitTo(repo, files, 'First version');
    return [key, { name, path: repo, commit }] as const;
  });
  return Object.fromEntries(made) as SampleRepos;
}
