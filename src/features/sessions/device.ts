/** What a user agent says about the device, in words for its owner. It is whatever the client wrote: nothing is decided by it alone. */

import { BROWSER_MAP, OS_MAP, parse } from "bowser";

const MOST_READ = 300;
const BROWSERS: ReadonlySet<string> = new Set(Object.values(BROWSER_MAP));
const SYSTEMS: ReadonlySet<string> = new Set(Object.values(OS_MAP));
const APPLE_MODELS: ReadonlySet<string> = new Set(["iPhone", "iPad", "iPod"]);
/** Programs that name themselves, `curl/8.5.0`. One plain word, so that it can be no address of a web page in a mail. */
const PRODUCT = /^([a-z][a-z0-9]{0,29})\/\d/i;

/**
 * Such as "Firefox on Windows" or "Safari on iPhone"; null when the text tells nothing. Well-known words, and for programs that
 * nobody knows one word of letters and digits: at most 80 characters, nothing invisible.
 */
export function deviceOf(userAgent: string): string | null {
  const text = userAgent.slice(0, MOST_READ);
  // bowser throws at an empty one.
  if (text === "") return null;
  const { browser, os, platform } = parse(text);
  const program = known(browser.name, BROWSERS)?.replace(/ for Android$/, "") ?? productOf(text);
  const system = known(platform.model, APPLE_MODELS) ?? known(os.name, SYSTEMS);
  if (program === undefined || system === undefined) return program ?? system ?? null;
  return `${program} on ${system}`;
}

function known(name: string | undefined, names: ReadonlySet<string>): string | undefined {
  return name !== undefined && names.has(name) ? name : undefined;
}

function productOf(text: string): string | undefined {
  const name = PRODUCT.exec(text)?.[1];
  return name === "Mozilla" ? undefined : name;
}
