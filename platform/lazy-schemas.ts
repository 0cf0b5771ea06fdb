/**
 * What checks requests and writes answers is made of a route's schema when the route is used for the first time, in some
 * milliseconds. Made at the start it would be half a second, for routes most of which nobody ever asks a process for.
 */
import serializers, { type SerializerFactory } from '@fastify/fast-json-stringify-compiler';

/** Calls `make` once, when it is needed. */
export function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** For `schemaController.compilersFactory.buildSerializer` of Fastify. */
export const lazySerializers: SerializerFactory = (schemas, options) => {
  const compile = serializers()(schemas, options);
  return route => {
    const serializer = lazily(() => compile(route));
    return document => serializer()(document);
  };
};
