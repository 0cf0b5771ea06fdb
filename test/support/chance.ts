/** Chance that can be repeated: what was seen once with a seed can be seen again with it. */

/** How often something is done: few times by default, more where the environment says so. */
export function countFrom(name: string, byDefault: number): number {
  const given = Number(process.env[name] ?? byDefault);
  if (Number.isInteger(given) && given >= 1) return given;
  throw new Error(`${name} has to be a whole number from 1`);
}

/** Another one each time, unless APPHUB_TEST_SEED names one. */
export const seed = Number(process.env.APPHUB_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

export type Chance = {
  /** From 0 to 1. */
  number(): number;
  pick<T>(list: readonly T[]): T;
};

/** The same numbers for the same seed (mulberry32). */
export function chanceFrom(start: number): Chance {
  let state = start;
  const number = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return { number, pick: list => list[Math.floor(number() * list.length)] as never };
}
