/** How long things of launches may take, to choose from: seconds, and words. */

/** Until it stops. @type {[number, string][]} */
export const times = [
  [900, '15 minutes'],
  [3_600, '1 hour'],
  [14_400, '4 hours'],
  [86_400, '1 day'],
  [604_800, '7 days'],
];

/** Without a visit until it sleeps. @type {[number, string][]} */
export const idleTimes = [
  [300, '5 min'],
  [1_800, '30 min'],
  [7_200, '2 h'],
  [86_400, '1 day'],
];
