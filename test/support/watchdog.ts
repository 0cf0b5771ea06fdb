/**
 * Loaded before each test file: ends the file with an error when it still runs after a time that no file takes. A test that
 * waits for what never comes would else keep the run of all tests, which ends with the last file and not before.
 */
const fileMsMax = 420_000;

// The runner itself is loaded with it too, and takes as long as all its files together.
if (process.env.NODE_TEST_CONTEXT !== undefined) {
  const timer = setTimeout(() => {
    const kept = process.getActiveResourcesInfo().join(', ');
    console.error(`This file still runs after ${fileMsMax / 1_000} s. What keeps it: ${kept}`);
    process.exit(1);
  }, fileMsMax);
  timer.unref();
}
