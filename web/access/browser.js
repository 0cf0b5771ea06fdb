/** What a browser is called, as far as its own words tell. All of it pure. */

/** The first that fits counts: most of them name others, too. @type {readonly (readonly [RegExp, string])[]} */
const browsers = [
  [/\bEdg(?:e|A|iOS)?\//, 'Edge'],
  [/\bOPR\//, 'Opera'],
  [/\bFirefox\/|\bFxiOS\//, 'Firefox'],
  [/\bHeadlessChrome\/|\bChrome\/|\bCriOS\//, 'Chrome'],
  [/\bSafari\//, 'Safari'],
  [/\bcurl\//, 'curl'],
];
/** @type {readonly (readonly [RegExp, string])[]} */
const systems = [
  [/\bAndroid\b/, 'Android'],
  [/\biPhone\b|\biPad\b/, 'iOS'],
  [/\bWindows\b/, 'Windows'],
  [/\bMac OS X\b/, 'macOS'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bLinux\b/, 'Linux'],
];

/** `Firefox on Windows`. @param {string} userAgent */
export function browserIn(userAgent) {
  const named = (/** @type {typeof browsers} */ list) => list.find(([sign]) => sign.test(userAgent))?.[1];
  const browser = named(browsers);
  const system = named(systems);
  if (browser === undefined) return userAgent.split(/[\s/]/, 1)[0] || 'Unknown browser';
  return system === undefined ? browser : `${browser} on ${system}`;
}
