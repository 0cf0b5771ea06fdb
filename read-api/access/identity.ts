/** GET /auth/identity: who is asking, what he may do, and what a page needs to ask for changes. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import { nullable, oneOf, Text, Time } from '../shapes.ts';

const Identity = Type.Object({
  subject: Text,
  name: nullable(Text),
  kind: Type.String({ description: 'operator, api-key or session' }),
  scopes: Type.Array(Text),
  apps: nullable(Type.Array(Text)),
  expires: nullable(Time),
  credentialId: nullable(Text),
  csrfToken: nullable(Text),
});

export const identityReads: FastifyPluginAsyncTypebox = async app => {
  app.get(
    '/auth/identity',
    {
      config: { scope: 'identified' },
      schema: {
        tags: ['access'],
        summary: 'Who is asking, and what he may do',
        response: { 200: oneOf(Identity) },
      },
    },
    async request => {
      const { expiresAt, name = null, scopes, apps, ...identity } = request.identity;
      const lists = { scopes: [...scopes], apps: apps === null ? null : [...apps] };
      return { data: { ...identity, ...lists, name, expires: expiresAt } };
    },
  );
};
