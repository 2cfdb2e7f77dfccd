/** `/confirm/:token`: the page a mailed link opens. Opening it changes nothing, since mail scanners open links; its form does. */

import type { Middleware } from "koa";
import readRaw from "raw-body";
import type { Action, Client } from "#src/kernel/actor";
import type { Locale } from "#src/kernel/locale";
import type { Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import type { IncomingMessage } from "node:http";
import { bodyTooLarge, bodyTypeUnsupported, rateLimited } from "./http.errors.ts";
import { linkPage, type LinkPageWords, type PageState } from "./link-page.html.ts";
import { parseQuery } from "./query.ts";
import type { CountingThrottle } from "./throttle.ts";

/** What using a mailed link takes and does, for one purpose. */
export interface LinkPage<Deps> {
  /** As the token has it. */
  readonly purpose: string;
  readonly words: Readonly<Record<Locale, LinkPageWords>>;
  /** Whether a new password is asked for. */
  readonly asksPassword?: boolean;
  /** @throws Problem which the page shows */
  readonly use: (deps: Deps, link: UsedLink) => Promise<void>;
}

/** What came with the form. */
export interface UsedLink {
  readonly token: string;
  /** Empty where none was asked for. */
  readonly password: string;
  readonly client: Client;
}

export interface LinkPagesOptions<Deps> {
  readonly pages: readonly LinkPage<Deps>[];
  readonly deps: Deps;
  /** What a link stands for, without using it; undefined when it is good for nothing. */
  readonly read: (token: string) => Promise<{ readonly purpose: string; readonly email: string } | undefined>;
  readonly throttle: CountingThrottle;
  readonly clientOf: (request: IncomingMessage) => Client;
  readonly log: Log;
}

/** Where the pages are. */
export const LINK_PATH = "/confirm/:token";

const pageAction: Action = { name: "links.page", limit: 60, windowSeconds: 60 };
const MAX_FORM_BYTES = 8 * 1024;
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/** Serves GET and POST of `LINK_PATH`. */
export function linkPages<Deps>(options: LinkPagesOptions<Deps>): Middleware {
  return async (ctx) => {
    const client = options.clientOf(ctx.req);
    const token = ctx.path.slice(ctx.path.lastIndexOf("/") + 1);
    const { status, html, retryAfterSeconds } = await answerFor(options, {
      token,
      client,
      request: ctx.req,
      isPost: ctx.method === "POST",
    });
    ctx.status = status;
    ctx.type = "html";
    ctx.set({
      "Content-Security-Policy": POLICY,
      "Cache-Control": "no-store",
      // The address is the secret.
      "Referrer-Policy": "no-referrer",
      "X-Robots-Tag": "noindex",
    });
    if (retryAfterSeconds !== undefined) ctx.set("Retry-After", String(retryAfterSeconds));
    ctx.body = html;
  };
}

interface Asked {
  readonly token: string;
  readonly client: Client;
  readonly request: IncomingMessage;
  readonly isPost: boolean;
}

interface Answered {
  readonly status: number;
  readonly html: string;
  readonly retryAfterSeconds?: number | undefined;
}

async function answerFor<Deps>(options: LinkPagesOptions<Deps>, asked: Asked): Promise<Answered> {
  const { locale } = asked.client;
  const show = (status: number, state: PageState): Answered => ({ status, html: linkPage(state, locale) });
  let page: LinkPage<Deps> | undefined;
  let email = "";
  try {
    options.throttle(pageAction, { client: asked.client });
    const found = await options.read(asked.token);
    page = options.pages.find(({ purpose }) => purpose === found?.purpose);
    if (found === undefined || page === undefined) return show(404, { kind: "invalid" });
    ({ email } = found);
    if (!asked.isPost) return show(200, { kind: "question", words: page.words[locale], email, asksPassword: page.asksPassword === true });
    const { password = "" } = await readForm(asked.request);
    await page.use(options.deps, { token: asked.token, password, client: asked.client });
    return show(200, { kind: "done", words: page.words[locale] });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const { status } = error.type;
    if (status >= 500) options.log.warn({ code: error.code, cause: error.cause }, "a mailed link could not be used");
    if (error.code === "link.invalid") return show(404, { kind: "invalid" });
    const words = page?.words[locale];
    const asksPassword = page?.asksPassword === true;
    const isLater = status >= 500 || error.type === rateLimited;
    const html = linkPage({ kind: "refused", words, email, asksPassword, isLater, problem: error }, locale);
    return { status, html, retryAfterSeconds: error.details.retryAfterSeconds };
  }
}

const FORM_TYPE = /^application\/x-www-form-urlencoded\s*(?:;\s*charset\s*=\s*"?utf-?8"?\s*)?$/i;

/** What a browser sends for a form. @throws Problem `body.type_unsupported`, `body.too_large`, `input.invalid`, `path.malformed` */
async function readForm(request: IncomingMessage): Promise<Readonly<Record<string, string>>> {
  const type = request.headers["content-type"] ?? "application/x-www-form-urlencoded";
  if (!FORM_TYPE.test(type)) throw new Problem(bodyTypeUnsupported);
  const bytes = await readRaw(request, { limit: MAX_FORM_BYTES }).catch((error: unknown) => {
    if (error instanceof Error && "type" in error && error.type === "entity.too.large") throw new Problem(bodyTooLarge);
    throw error;
  });
  return parseQuery(bytes.toString("utf8"));
}
