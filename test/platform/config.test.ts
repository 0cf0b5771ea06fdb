/** Settings from the environment: defaults that work, and a sentence for what cannot be used. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { suite, test } from 'node:test';
import { readAudit } from '../../platform/audit-config.ts';
import { readBuilds } from '../../platform/build-config.ts';
import { ConfigError, readConfig } from '../../platform/config.ts';
import { readEngines } from '../../platform/engines-config.ts';
import { readSandbox } from '../../platform/sandbox-config.ts';
import { readStorage } from '../../platform/storage-config.ts';
import { readUsage } from '../../platform/usage-config.ts';
import { readWorkspaces } from '../../platform/workspace-config.ts';

suite('settings', () => {
  test('without any, everything is on this machine', () => {
    assert.deepEqual(readConfig({}), {
      port: 4_000,
      host: '127.0.0.1',
      dataDir: path.resolve('data'),
      databaseUrl: undefined,
      redisUrl: undefined,
      eventstoreUrl: undefined,
      engines: readEngines({}),
      previewDomain: 'localhost',
      previewPort: 4_000,
      previews: { secret: undefined, bodyBytesMax: 104_857_600, perLaunchMax: 2_000, perVisitorMax: 256 },
      allowLocalRepositories: false,
      allowInlineMode: true,
      logDurability: 'always',
      operatorToken: undefined,
      operators: undefined,
      operatorsPath: undefined,
      legacyTokens: true,
      sessionTimes: { idleSeconds: 28_800, absoluteSeconds: 604_800 },
      publicUrl: undefined,
      oidc: undefined,
      rateLimits: { identified: 12_000, anonymous: 3_000, refused: 60 },
      corsOrigins: [],
      trustedProxies: [],
      webhookSecret: undefined,
      buildSecretKey: undefined,
      syncSeconds: 300,
      ingestionsAtOnce: 2,
      buildsAtOnce: 1,
      launches: {
        idleSeconds: 1_800,
        drainSeconds: 10,
        max: 50,
        perAppMax: 10,
        perOwnerMax: 25,
        keptAwake: 0,
      },
      sandbox: readSandbox({}),
      audit: readAudit({}),
      usage: readUsage({}),
      timeTravel: true,
      storage: readStorage({}),
      builds: readBuilds({}),
      workspaces: readWorkspaces({}),
      s3: undefined,
      logLevel: 'info',
    });
  });

  test('what is empty or blank is not set', () => {
    const names = [
      'PORT',
      'HOST',
      'DATABASE_URL',
      'REDIS_URL',
      'APPHUB_DATA_DIR',
      'LOG_LEVEL',
      'APPHUB_S3_BUCKET',
      'APPHUB_OPERATOR_TOKEN',
    ];
    for (const blank of ['', '  ']) {
      assert.deepEqual(readConfig(Object.fromEntries(names.map(name => [name, blank]))), readConfig({}));
    }
  });

  const taken: [string, string, keyof ReturnType<typeof readConfig>, unknown][] = [
    ['PORT', ' 80 ', 'port', 80],
    ['PORT', '0', 'port', 0],
    ['PORT', '8080', 'previewPort', 8_080],
    ['APPHUB_PREVIEW_PORT', '443', 'previewPort', 443],
    ['APPHUB_PUBLIC_URL', 'https://apphub.example.org', 'previewPort', 443],
    ['APPHUB_PUBLIC_URL', 'http://apphub.example.org:8080', 'previewPort', 8_080],
    ['APPHUB_PREVIEW_DOMAIN', 'Preview.Example.net.', 'previewDomain', 'preview.example.net'],
    ['APPHUB_DATA_DIR', '/srv/x', 'dataDir', '/srv/x'],
    ['DATABASE_URL', 'postgresql://u:p@h/d', 'databaseUrl', 'postgresql://u:p@h/d'],
    ['REDIS_URL', 'rediss://h:1', 'redisUrl', 'rediss://h:1'],
    ['EVENTSTORE_URL', 'esdb+discover://h:1?tls=false', 'eventstoreUrl', 'esdb+discover://h:1?tls=false'],
    ['APPHUB_ALLOW_LOCAL_REPOSITORIES', 'Yes', 'allowLocalRepositories', true],
    ['APPHUB_ALLOW_INLINE_MODE', 'off', 'allowInlineMode', false],
    ['APPHUB_LEGACY_TOKENS', 'off', 'legacyTokens', false],
    ['APPHUB_TIME_TRAVEL', 'off', 'timeTravel', false],
    ['APPHUB_TRUSTED_PROXIES', '10.0.0.0/8, ::1', 'trustedProxies', ['10.0.0.0/8', '::1']],
    ['APPHUB_LOG_DURABILITY', 'none', 'logDurability', 'none'],
    ['APPHUB_LOG_DURABILITY', 'interval:50', 'logDurability', { intervalMs: 50 }],
    ['APPHUB_OPERATOR_TOKEN', 'apphub_0123456789.~+-', 'operatorToken', 'apphub_0123456789.~+-'],
    ['APPHUB_BUILD_SECRET_KEY', 'any / kind = of text', 'buildSecretKey', 'any / kind = of text'],
    ['APPHUB_WEBHOOK_SECRET', 'any / kind = of text', 'webhookSecret', 'any / kind = of text'],
    ['LOG_LEVEL', 'WARN', 'logLevel', 'warn'],
    ['APPHUB_PUBLIC_URL', 'https://Apphub.example.org/', 'publicUrl', 'https://apphub.example.org'],
  ];
  for (const [name, value, field, expected] of taken) {
    test(`${name}=${value}`, () => assert.deepEqual(readConfig({ [name]: value })[field], expected));
  }

  const refused: [string, string, RegExp][] = [
    ['PORT', 'x', /PORT is "x"; it must be a whole number from 0 to 65535/],
    ['PORT', '65536', /0 to 65535/],
    ['PORT', '-1', /0 to 65535/],
    ['PORT', '80.5', /whole number/],
    ['DATABASE_URL', 'mysql://h/d', /must begin with one of postgres:\/\//],
    ['REDIS_URL', 'http://h', /redis:\/\//],
    ['EVENTSTORE_URL', 'h:2113', /esdb:\/\//],
    ['APPHUB_ALLOW_LOCAL_REPOSITORIES', 'maybe', /true or false/],
    ['APPHUB_LOG_DURABILITY', 'interval:0', /interval:<milliseconds>/],
    ['APPHUB_LOG_DURABILITY', 'sometimes', /always, none/],
    ['APPHUB_OPERATOR_TOKEN', 'short', /at least 16 characters/],
    ['APPHUB_OPERATOR_TOKEN', 'two words of a token', /letters, digits/],
    ['APPHUB_OPERATOR_TOKEN', 'with/slash-and=equals', /letters, digits/],
    ['APPHUB_WEBHOOK_SECRET', 'short', /at least 16 characters/],
    ['APPHUB_PREVIEW_DOMAIN', 'https://preview.example.net', /such as preview\.example\.net/],
    ['APPHUB_PREVIEW_DOMAIN', '127.0.0.1', /must be a domain/],
    ['APPHUB_PREVIEW_SECRET', 'short', /at least 16 characters/],
    ['APPHUB_PREVIEW_REQUESTS_PER_VISITOR_MAX', '0', /1 to 100000/],
    ['APPHUB_SYNC_SECONDS', '0', /1 to 86400/],
    ['APPHUB_INGESTIONS_AT_ONCE', '65', /1 to 64/],
    ['APPHUB_BUILDS_AT_ONCE', '0', /1 to 64/],
    ['APPHUB_S3_BUCKET', 'b', /APPHUB_S3_ACCESS_KEY_ID/],
    ['LOG_LEVEL', 'loud', /trace, debug, info/],
    ['APPHUB_PUBLIC_URL', 'https://h/apphub', /without a path/],
    ['APPHUB_PUBLIC_URL', 'https://user@h', /without a path/],
    ['APPHUB_PUBLIC_URL', 'apphub.example.org', /such as https:/],
    ['APPHUB_PUBLIC_URL', 'ftp://h', /such as https:/],
    ['APPHUB_OIDC_ISSUER', 'https://h', /also needs APPHUB_OIDC_CLIENT_ID/],
  ];
  for (const [name, value, says] of refused) {
    test(`${name}=${value} is refused in words`, () => {
      assert.throws(
        () => readConfig({ [name]: value }),
        error => error instanceof ConfigError && says.test(error.message),
      );
    });
  }

  test('a secret that is refused is not said back', () => {
    for (const name of ['APPHUB_OPERATOR_TOKEN', 'APPHUB_WEBHOOK_SECRET']) {
      assert.throws(
        () => readConfig({ [name]: 'hunter2' }),
        (error: Error) => !error.message.includes('hunter2'),
      );
    }
    const url = 'mysql://user:hunter2@h/d';
    assert.throws(
      () => readConfig({ DATABASE_URL: url }),
      (error: Error) => !error.message.includes('hunter2'),
    );
  });

  const oidc = {
    APPHUB_OIDC_ISSUER: 'https://id.example.org/realms/a',
    APPHUB_OIDC_CLIENT_ID: 'apphub',
    APPHUB_OIDC_GROUP_SCOPES: '{"staff": ["apps:*", "audit:read"]}',
  };
  test('a provider where an issuer is named', () => {
    const { APPHUB_OIDC_ISSUER: _, ...noIssuer } = oidc;
    assert.equal(readConfig(noIssuer).oidc, undefined);
    assert.deepEqual(readConfig(oidc).oidc, {
      issuer: 'https://id.example.org/realms/a',
      clientId: 'apphub',
      clientSecret: undefined,
      scopes: 'openid email profile',
      groupsClaim: 'groups',
      policy: { allowedDomains: [], groupScopes: { staff: ['apps:*', 'audit:read'] }, groupApps: {} },
    });
    const full = readConfig({
      ...oidc,
      APPHUB_OIDC_CLIENT_SECRET: 's',
      APPHUB_OIDC_SCOPES: 'openid groups',
      APPHUB_OIDC_GROUPS_CLAIM: 'roles',
      APPHUB_OIDC_ALLOWED_DOMAINS: 'Example.org, example.net,',
      APPHUB_OIDC_GROUP_APPS: '{"staff": ["team-*", "shop"]}',
    }).oidc;
    assert.deepEqual(full?.policy.allowedDomains, ['example.org', 'example.net']);
    assert.deepEqual(full?.policy.groupApps, { staff: ['team-*', 'shop'] });
    assert.deepEqual([full?.clientSecret, full?.scopes, full?.groupsClaim], ['s', 'openid groups', 'roles']);
  });

  for (const issuer of ['http://localhost:9000', 'http://127.0.0.1:9000/x', 'http://[::1]:9000']) {
    test(`a provider without TLS on this machine: ${issuer}`, () =>
      assert.equal(readConfig({ ...oidc, APPHUB_OIDC_ISSUER: issuer }).oidc?.issuer, issuer));
  }

  const wrong: [string, string, RegExp][] = [
    ['APPHUB_OIDC_ISSUER', 'http://id.example.org', /must be an https:/],
    ['APPHUB_OIDC_ISSUER', 'http://127.0.0.1.example.org', /must be an https:/],
    ['APPHUB_OIDC_ISSUER', 'http://localhost@example.org', /must be an https:/],
    ['APPHUB_OIDC_ISSUER', 'id.example.org', /must be an https:/],
    ['APPHUB_OIDC_GROUP_SCOPES', 'staff', /must be JSON such as/],
    ['APPHUB_OIDC_GROUP_SCOPES', '[]', /must be JSON such as/],
    ['APPHUB_OIDC_GROUP_SCOPES', 'null', /must be JSON such as/],
    ['APPHUB_OIDC_GROUP_SCOPES', '{"staff": "apps:read"}', /"staff" must have a list/],
    ['APPHUB_OIDC_GROUP_SCOPES', '{"staff": ["apps:fly"]}', /"staff" has "apps:fly"/],
    ['APPHUB_OIDC_GROUP_SCOPES', '{"staff": [1]}', /"staff" has 1/],
    ['APPHUB_OIDC_GROUP_APPS', '{"staff": ["*"]}', /"staff" has "\*"/],
    ['APPHUB_OIDC_GROUP_APPS', '{"staff": ["Team"]}', /"staff" has "Team"/],
    ['APPHUB_OIDC_SCOPES', 'email profile', /must hold openid/],
    ['APPHUB_OIDC_ALLOWED_DOMAINS', 'a@example.org', /"a@example.org" is no domain/],
    ['APPHUB_OIDC_ALLOWED_DOMAINS', '*.example.org', /is no domain/],
  ];
  for (const [name, value, says] of wrong) {
    test(`with a provider, ${name}=${value} is refused in words`, () => {
      assert.throws(
        () => readConfig({ ...oidc, [name]: value }),
        error => error instanceof ConfigError && says.test(error.message),
      );
    });
  }

  test('S3 where a bucket is named', () => {
    const keys = { APPHUB_S3_ACCESS_KEY_ID: 'id', APPHUB_S3_SECRET_ACCESS_KEY: 'key' };
    assert.equal(readConfig(keys).s3, undefined);
    assert.deepEqual(readConfig({ ...keys, APPHUB_S3_BUCKET: 'b', APPHUB_S3_ENDPOINT: 'http://h:9000' }).s3, {
      endpoint: 'http://h:9000',
      region: 'us-east-1',
      bucket: 'b',
      accessKeyId: 'id',
      secretAccessKey: 'key',
    });
  });
});
