/** Streams through @eventstore/db-client. */
import * as api from '@eventstore/db-client';
import { streamSuites } from './streams-suite.ts';

streamSuites(api, api.EventStoreDBClient);
