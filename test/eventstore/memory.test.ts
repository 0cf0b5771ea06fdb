import { memoryStore } from '../../eventstore/memory.ts';
import { storeContract } from '../contract/store.ts';

storeContract('in memory', async () => ({ store: memoryStore(), close: async () => undefined }));
