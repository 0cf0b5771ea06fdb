/** Persistent subscriptions through @eventstore/db-client. */
import * as api from '@eventstore/db-client';
import { persistentSuite } from './persistent-suite.ts';

persistentSuite(api, api.EventStoreDBClient);
