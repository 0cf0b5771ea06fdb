/** A connection of its own that hears what the database announces on a channel; opened again when it breaks. */
import pg from 'pg';

const retryMs = 500;

/** Calls back for each announcement, and after each reconnection, since some may have been missed. */
export async function listenTo(
  connectionString: string,
  channel: string,
  onHeard: () => void,
): Promise<() => Promise<void>> {
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const connect = async (): Promise<void> => {
    const next = new pg.Client({ connectionString, application_name: 'apphub-listen', keepAlive: true });
    next.on('error', () => undefined);
    next.once('end', () => {
      if (!isClosed) timer = setTimeout(() => void connect().catch(() => undefined), retryMs);
    });
    next.on('notification', onHeard);
    client = next;
    try {
      await next.connect();
      await next.query(`listen ${pg.escapeIdentifier(channel)}`);
    } catch (error) {
      // Nobody would be heard on it. Its end is what makes the next one be tried.
      void next.end().catch(() => undefined);
      throw error;
    }
    onHeard();
  };
  const close = async (): Promise<void> => {
    isClosed = true;
    clearTimeout(timer);
    await client?.end().catch(() => undefined);
  };
  try {
    await connect();
  } catch (error) {
    await close();
    throw error;
  }
  return close;
}
