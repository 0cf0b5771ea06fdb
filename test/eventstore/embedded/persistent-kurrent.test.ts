/** Persistent subscriptions through @kurrent/kurrentdb-client. */
import type * as eventstore from '@eventstore/db-client';
import * as api from '@kurrent/kurrentdb-client';
import { persistentSuite } from './persistent-suite.ts';

persistentSuite(
  api as unknown as typeof eventstore,
  api.KurrentDBClient as unknown as typeof eventstore.EventStoreDBClient,
);
