/** Whether Redis is there. What is done with it is the queue's business. */
import { Redis } from 'ioredis';

const answerMsMax = 1_000;

/** Rejects when Redis does not answer a PING within a second. */
export async function pingRedis(url: string): Promise<void> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: answerMsMax,
    commandTimeout: answerMsMax,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    await redis.ping();
  } finally {
    redis.disconnect();
  }
}

export async function redisAnswers(url: string): Promise<boolean> {
  return pingRedis(url).then(
    () => true,
    () => false,
  );
}
