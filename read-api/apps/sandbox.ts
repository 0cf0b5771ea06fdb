/** How an app is confined, as its app and each of its launches answer it. */
import { Type } from '@fastify/type-provider-typebox';
import { Text } from '../shapes.ts';

export const Sandbox = Type.Object({
  egress: Type.Array(Text),
  allowRoot: Type.Boolean(),
  runtime: Text,
});
