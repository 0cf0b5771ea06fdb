/** The settings of what is kept: what is taken, and what is refused with what would be right. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readStorage } from '../../platform/storage-config.ts';

suite('settings of what is kept', () => {
  test('without any there are limits, and a disk is never filled', () => {
    assert.deepEqual(readStorage({}), {
      logs: { bytesMax: 16 * 1024 ** 2, daysMax: 30, perAppMax: 200 },
      images: { perAppMax: 5 },
      disk: { ceilingBytes: null, freeBytesMin: 2 * 1024 ** 3 },
    });
  });

  test('each can be set', () => {
    const read = readStorage({
      APPHUB_LOG_MIB: '1',
      APPHUB_LOG_DAYS: '0',
      APPHUB_LOGS_PER_APP: ' 7 ',
      APPHUB_IMAGES_PER_APP: '1',
      APPHUB_DISK_CEILING_BYTES: '1000000000',
      APPHUB_DISK_FREE_MIN_BYTES: '0',
    });
    assert.deepEqual(read, {
      logs: { bytesMax: 1024 ** 2, daysMax: null, perAppMax: 7 },
      images: { perAppMax: 1 },
      disk: { ceilingBytes: 1_000_000_000, freeBytesMin: 0 },
    });
  });

  test('what cannot be is refused with what would be right', () => {
    for (const [name, value] of [
      ['APPHUB_LOG_MIB', '0'],
      ['APPHUB_LOG_DAYS', '-1'],
      ['APPHUB_LOGS_PER_APP', 'many'],
      ['APPHUB_IMAGES_PER_APP', '0'],
      ['APPHUB_DISK_CEILING_BYTES', '20G'],
      ['APPHUB_DISK_FREE_MIN_BYTES', '1.5'],
    ] as const)
      assert.throws(
        () => readStorage({ [name]: value }),
        new RegExp(`${name} is "${value}"; it must be a whole number from \\d+ to`),
      );
  });
});
