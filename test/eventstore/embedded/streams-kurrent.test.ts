/** Streams through @kurrent/kurrentdb-client, its successor, which reads through a client in Rust. */
import type * as eventstore from '@eventstore/db-client';
import * as api from '@kurrent/kurrentdb-client';
import { streamSuites } from './streams-suite.ts';

streamSuites(
  api as unknown as typeof eventstore,
  api.KurrentDBClient as unknown as typeof eventstore.EventStoreDBClient,
);
