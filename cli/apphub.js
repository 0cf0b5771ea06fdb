#!/usr/bin/env -S node --max-semi-space-size=4
/** Where the `apphub` command begins. */
import './compile-cache.js';

await import('./main.ts');
