/** What the environment says about what is kept. The reader throws an Error that says what would be right. */

type Env = Readonly<Record<string, string | undefined>>;

export type StorageConfig = {
  readonly logs: {
    /** Of one build or one container of an app. */
    readonly bytesMax: number;
    /** Null: for as long as there are few enough of them. */
    readonly daysMax: number | null;
    readonly perAppMax: number;
  };
  readonly images: { readonly perAppMax: number };
  readonly disk: {
    /** Of what AppHub's images, its build cache and its own data use; null: as much as there is. */
    readonly ceilingBytes: number | null;
    /** What stays free on the file systems of the engine and of the data directory; 0: nobody looks. */
    readonly freeBytesMin: number;
  };
};

const mib = 1024 * 1024;
const bytesMax = 2 ** 50;

export function readStorage(env: Env): StorageConfig {
  const whole = (name: string, byDefault: number, min: number, max: number) => {
    const given = env[name]?.trim() || undefined;
    const value = Number(given ?? byDefault);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new Error(`${name} is "${given}"; it must be a whole number from ${min} to ${max}`);
  };
  return {
    logs: {
      bytesMax: whole('APPHUB_LOG_MIB', 16, 1, 1_024) * mib,
      daysMax: whole('APPHUB_LOG_DAYS', 30, 0, 36_500) || null,
      perAppMax: whole('APPHUB_LOGS_PER_APP', 200, 1, 1_000_000),
    },
    images: { perAppMax: whole('APPHUB_IMAGES_PER_APP', 5, 1, 10_000) },
    disk: {
      ceilingBytes: whole('APPHUB_DISK_CEILING_BYTES', 0, 0, bytesMax) || null,
      freeBytesMin: whole('APPHUB_DISK_FREE_MIN_BYTES', 2_048 * mib, 0, bytesMax),
    },
  };
}
