import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { launch, type Browser, type Page } from 'puppeteer-core';
import { afterAll } from 'vitest';
import { z } from 'zod';
import { findChromium } from '../../dev/chromium/find-chromium.ts';
import { askForPart } from './ask.ts';

/** A narrow phone's screen. */
const SCREEN = { width: 360, height: 740 };

const FLAGS = [
  // Containers often have a small /dev/shm, and root cannot use the sandbox. Only pages of this machine are opened.
  '--disable-dev-shm-usage',
  '--no-sandbox',
  '--disable-gpu',
  '--no-proxy-server',
  // Whatever else Chromium looks for has no address.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
];

/** A page in a real browser, used as a person does: by what its labels and buttons say. */
export interface Visitor {
  readonly page: Page;
  /** The origins of everything that the browser has asked for. */
  readonly origins: ReadonlySet<string>;
  /** Types a text into the field with this label, in place of what it holds. */
  type(label: string, text: string): Promise<void>;
  /** Presses a button or a link by what it says, and waits for the page that it leads to. */
  press(name: string): Promise<void>;
  /** Chooses in the list with this label, by the text of the choice. */
  choose(label: string, choice: string): Promise<void>;
  /** What the page says in its alerts and its status. */
  said(): Promise<readonly string[]>;
  /** The page's text as a person sees it. */
  text(): Promise<string>;
}

/**
 * Starts Chromium for a test file. It ends with the file, and also when the test's process dies, because it hangs on a pipe.
 * What it writes is removed with the file, at the latest with the run.
 */
export async function openBrowser(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined)
    throw new Error(
      'this test needs a Chromium, and there is none: run `npx node dev/packages/install.ts chromium`',
    );
  const { dir } = await askForPart('app');
  const profile = mkdtempSync(path.join(dir, 'browser-'));
  // Chromium's last processes may still write to the profile.
  const removeProfile = (): void => rmSync(profile, { recursive: true, force: true, maxRetries: 20 });
  try {
    const browser = await launch({
      executablePath,
      headless: true,
      pipe: true,
      userDataDir: profile,
      env: { ...process.env, TMPDIR: profile },
      defaultViewport: SCREEN,
      args: FLAGS,
    });
    const ended = new Promise((resolve) => browser.process()?.once('exit', resolve));
    afterAll(async () => {
      await browser.close().catch(() => browser.process()?.kill('SIGKILL'));
      await ended;
      removeProfile();
    });
    return browser;
  } catch (error) {
    removeProfile();
    throw error;
  }
}

const FIND_BARRIERS = `
  const fields = [...document.querySelectorAll('input:not([type=hidden]), select')];
  const unnamed = fields.filter((field) => field.labels.length === 0).map(({ name }) => name + ' has no label');
  const { scrollWidth } = document.documentElement;
  scrollWidth > innerWidth ? [...unnamed, 'the page is ' + scrollWidth + ' pixels wide'] : unnamed;
`;

const READ_FOCUS = `
  const { id, attributes } = document.activeElement;
  const described = attributes['aria-describedby']?.value.split(' ') ?? [];
  [id, ...described.map((other) => document.getElementById(other)?.textContent)];
`;

/** Runs a script in the page. The braces keep the constants of one call from those of the next. */
const evaluate = async (page: Page, script: string): Promise<string[]> =>
  z.array(z.string()).parse(await page.evaluate(`{${script}}`));

/** Opens an empty page. */
export async function openVisitor(browser: Browser): Promise<Visitor> {
  const page = await browser.newPage();
  const origins = new Set<string>();
  page.on('request', (request) => void origins.add(new URL(request.url()).origin));
  return {
    page,
    origins,
    type: (label, text) => page.locator(`aria/${label}[role="textbox"]`).fill(text),
    press: async (name) => {
      await Promise.all([page.waitForNavigation(), page.locator(`aria/${name}`).click()]);
    },
    choose: async (label, choice) => {
      const text = JSON.stringify(choice);
      const find = `[...document.querySelectorAll('option')].find((one) => one.text === ${text})?.value`;
      await page.locator(`aria/${label}`).fill(z.string().parse(await page.evaluate(find)));
    },
    said: () =>
      evaluate(
        page,
        "[...document.querySelectorAll('[role=alert], [role=status]')].map((one) => one.innerText)",
      ),
    text: async () => z.string().parse(await page.evaluate('document.body.innerText')),
  };
}

/** What makes a page hard to use: fields without a label, and what is wider than the screen. */
export const findBarriers = (visitor: Visitor): Promise<string[]> => evaluate(visitor.page, FIND_BARRIERS);

/** The id of the field that has the focus, and the texts that describe it. */
export const readFocus = (visitor: Visitor): Promise<string[]> => evaluate(visitor.page, READ_FOCUS);
