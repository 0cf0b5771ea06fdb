import { test } from 'node:test';
import { openAlarm } from '../../../workers/access/alarm.ts';

const never = Number.POSITIVE_INFINITY;

test('a ring is not missed, whenever it comes: before, while, or after somebody has stopped listening', async () => {
  const alarm = openAlarm();
  alarm.ring();
  await alarm.after(never);
  const heard = alarm.after(never);
  alarm.ring();
  await heard;
  // It was ended by something else, as in a race; the ring is for whoever listens next.
  void alarm.after(never);
  alarm.ring();
  await alarm.after(never);
  await alarm.after(0);
  await alarm.after(1);
  alarm.close();
});
