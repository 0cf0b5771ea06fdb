/** Something to wait for: a time, or that somebody rings. */
export type Alarm = {
  /**
   * Resolves after so many milliseconds, or at the next ring; the call before is forgotten. A ring may be heard twice, by the
   * call it ends and by the next one, as nobody knows whether the first was still listened to. None is missed.
   */
  after(ms: number): Promise<undefined>;
  ring(): void;
  close(): void;
};

const timerMsMax = 2 ** 31 - 1;

export function openAlarm(): Alarm {
  let timer: NodeJS.Timeout | undefined;
  let isRung = false;
  let wake: () => void = () => undefined;
  return {
    after(ms) {
      clearTimeout(timer);
      return new Promise(resolve => {
        wake = () => {
          clearTimeout(timer);
          resolve(undefined);
        };
        if (isRung || ms <= 0) {
          isRung = false;
          wake();
        } else if (Number.isFinite(ms)) timer = setTimeout(wake, Math.min(ms, timerMsMax));
      });
    },
    ring() {
      isRung = true;
      wake();
    },
    close() {
      clearTimeout(timer);
    },
  };
}
