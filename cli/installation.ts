/** What belongs to one installation alone: the secrets beside its data, and its name. */
import path from 'node:path';
import type { Config } from '../platform/config.ts';
import { keepSecret, keepSecretBefore } from '../platform/secret-file.ts';

export type Secrets = {
  readonly operatorToken: string;
  readonly webhookSecret: string;
  /** Seals what a browser keeps for us while its user signs in. */
  readonly sessionSecret: string;
  /** Seals the values of build secrets in the database. */
  readonly buildSecret: string;
  /** The first signs what lets visitors in; what the others signed is good as well. */
  readonly previewSecrets: readonly string[];
  /** Names this installation's containers on an engine that others may share. */
  readonly instance: string;
  readonly isNew: boolean;
};

/** Made on the first start. What the environment gives is kept too, so that the command line on this machine finds it. */
export function keepSecrets(config: Config): Secrets {
  const file = (name: string) => path.join(config.dataDir, name);
  const token = keepSecret(file('operator-token'), { given: config.operatorToken, prefix: 'apphub_' });
  const webhook = keepSecret(file('webhook-secret'), { given: config.webhookSecret });
  const instance = keepSecret(file('instance'), { prefix: 'apphub-' });
  return {
    operatorToken: token.secret,
    isNew: token.isNew,
    webhookSecret: webhook.secret,
    sessionSecret: keepSecret(file('session-secret')).secret,
    buildSecret: keepSecret(file('build-secret-key'), { given: config.buildSecretKey }).secret,
    previewSecrets: keepSecretBefore(file('preview-secret'), { given: config.previews.secret }),
    instance: instance.secret,
  };
}
