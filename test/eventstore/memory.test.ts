import { memoryStore } from '../../eventstore/memory.ts';
import { storeContract } from '../contract/eventstore.ts';

storeContract('in memory', async () => ({ store: memoryStore(), close: async () => undefined }));
