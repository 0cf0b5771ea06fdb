/** Debian's Chromium, driven by playwright-core, for tests of the page. Whatever a page complains of fails the test. */
import assert from 'node:assert/strict';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import type { E2E } from './e2e.ts';

const executablePath = '/usr/bin/chromium';
/** A container that starts or ends anywhere on the machine changes its networks, which Chromium takes for its own. */
const machineChanged = /net::ERR_NETWORK_CHANGED/;
const stepMsMax = 30_000;
const tabsMax = 80;
const shownCharsMax = 1_000;
/** No sandbox: tests run as root. The others keep the browser from calling its makers. */
const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A browser with an empty profile, and more of its own switches. It goes with the test. */
export async function openBrowser(e2e: E2E, more: readonly string[] = []): Promise<Browser> {
  const browser = await chromium.launch({ executablePath, args: [...args, ...more] });
  e2e.registerCleanup('browser', async () => {
    if (e2e.hasFailed()) await tellPages(browser);
    await browser.close();
  });
  return browser;
}

/** What is seen in each of its pages. */
async function tellPages(browser: Browser): Promise<void> {
  for (const page of browser.contexts().flatMap(context => context.pages())) {
    const text = await page.evaluate('document.documentElement.innerText').catch(String);
    console.error(`${page.url()} shows: ${String(text).slice(0, shownCharsMax)}`);
  }
}

export type Watched = {
  readonly page: Page;
  /** Complaints so far: errors of scripts, of the console, and breaches of the content security policy. */
  readonly complaints: string[];
};

/**
 * A page in a context of its own that writes down what goes wrong in it.
 * Answers that say no are logged by the browser itself; `expected` names those the test asks for.
 */
export async function openPage(
  browser: Browser,
  options: BrowserContextOptions & { expected?: RegExp } = {},
): Promise<Watched> {
  const { expected, ...contextOptions } = options;
  const context = await browser.newContext({ viewport: { width: 1_280, height: 900 }, ...contextOptions });
  context.setDefaultTimeout(stepMsMax);
  const page = await context.newPage();
  const complaints: string[] = [];
  const complain = (text: string) => {
    if (expected?.test(text) !== true && !machineChanged.test(text)) complaints.push(text);
  };
  page.on('pageerror', error => complain(`script: ${error.message}`));
  page.on('console', message => {
    if (message.type() === 'error' || message.type() === 'warning') complain(`console: ${message.text()}`);
  });
  await page.exposeFunction('noteBreach', complain);
  await page.addInitScript(`addEventListener('securitypolicyviolation', event =>
    noteBreach('policy: ' + event.violatedDirective + ' ' + event.blockedURI))`);
  return { page, complaints };
}

/** What the element with the focus is called, as assistive technology would say it, more or less. */
export function focusedName(page: Page): Promise<string> {
  return page.evaluate(`(() => {
    const element = document.activeElement;
    const label = element?.labels?.[0]?.textContent;
    return (element?.getAttribute('aria-label') ?? label ?? element?.textContent ?? '').replace(/\\s+/g, ' ').trim();
  })()`);
}

/** Waits until an expression is true in the page. Its policy forbids eval, so it is asked from outside. */
export function holds(e2e: E2E, page: Page, expression: string): Promise<void> {
  return e2e.eventually(
    async () => assert.equal(await page.evaluate(expression), true, expression),
    stepMsMax,
  );
}

/** Presses Tab until something of this name has the focus: proof that a keyboard gets there. */
export async function tabTo(page: Page, name: RegExp, key: 'Tab' | 'Shift+Tab' = 'Tab'): Promise<void> {
  const seen: string[] = [];
  for (let pressed = 0; pressed < tabsMax; pressed += 1) {
    await page.keyboard.press(key);
    const found = await focusedName(page);
    if (name.test(found)) return;
    seen.push(found);
  }
  assert.fail(`Tab does not lead to ${name}: ${seen.join(' → ')}`);
}

/** How far the document is wider than the window, in pixels. */
export const overflowOf = (page: Page): Promise<number> =>
  page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');

/** Signs in as the operator would by the address that the start prints. */
export async function signIn(page: Page, url: string, token: string, path = '/'): Promise<void> {
  await page.goto(`${url}${path}#token=${token}`);
  await page.getByRole('combobox', { name: 'Search apps' }).waitFor();
}
