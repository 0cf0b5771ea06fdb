/** What a launch uses at present of memory and CPU. */

/** @import { Launch } from '../lib/shapes.js' */

/** Nothing is shown where nobody measures. @param {{ launch: Launch }} _props */
export const Usage = _props => null;
