import { findProgram } from '../processes/find-program.ts';

/** Absolute path of the browser: the one of PUPPETEER_EXECUTABLE_PATH, else a Chromium or a Chrome on the PATH. */
export function findChromium(): string | undefined {
  return (
    process.env['PUPPETEER_EXECUTABLE_PATH'] ||
    findProgram(['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'])
  );
}
