/** GET /auth/options: how one can sign in here, for a page that nobody is signed in at yet. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import { nullable, oneOf, Text } from '../shapes.ts';

export type SignInOptions = {
  /** What people know the provider by; null: there is none. */
  readonly oidc: { readonly name: string } | null;
  /** Whether a token of the installation signs in. */
  readonly token: boolean;
};

const Options = Type.Object({ oidc: nullable(Type.Object({ name: Text })), token: Type.Boolean() });

export function signInOptionReads({ signIn }: { signIn: SignInOptions }): FastifyPluginAsyncTypebox {
  return async app => {
    app.get(
      '/auth/options',
      {
        config: { scope: 'public' },
        schema: {
          tags: ['access'],
          summary: 'How one can sign in here',
          response: { 200: oneOf(Options) },
        },
      },
      async () => ({ data: signIn }),
    );
  };
}
