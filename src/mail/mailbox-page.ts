/** `GET /mailbox`: what the development mailbox holds, as plain HTML without script, for the person at this machine only. */

import type { IncomingMessage } from "node:http";
import type { Middleware } from "koa";
import type { Db } from "#src/db/pool";
import { refuseInProduction } from "./mailbox.ts";
import { escapeHtml } from "#src/kernel/html";
import { findMessage, newestMessages, type MailboxLine, type MailboxMessage } from "./mailbox.sql.ts";

interface Needs {
  readonly db: Db;
  readonly config: { readonly production: boolean };
}

interface Document {
  readonly status: number;
  readonly html: string;
  readonly policy: string;
}

const STYLE = "'unsafe-inline'";
/** Our own pages: their style and nothing else, in no frame. */
const OWN_PAGE = `default-src 'none'; style-src ${STYLE}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
/** The HTML part of a message, which others had a hand in: besides, an origin of its own and no script whatever. */
const FOREIGN_PAGE = `${OWN_PAGE}; sandbox allow-top-navigation-by-user-activation`;

/**
 * Answers `GET /mailbox`, `/mailbox/:messageId` and `/mailbox/:messageId/html`; passes everything else on. Anybody but
 * this machine's own browser is told 404, as if it were not there.
 * @throws Error under NODE_ENV=production
 */
export function mailboxPage(needs: Needs): Middleware {
  refuseInProduction(needs);
  return async (ctx, next) => {
    const wanted = /^\/mailbox(?:\/([^/]{1,200})(\/html)?)?$/.exec(ctx.path);
    if (wanted === null || ctx.method !== "GET" || !isAtThisMachine(ctx.req)) {
      await next();
      return;
    }
    const page = await documentFor(needs.db, wanted[1], wanted[2] !== undefined);
    ctx.status = page.status;
    ctx.type = "html";
    ctx.set({
      "Content-Security-Policy": page.policy,
      "Cache-Control": "no-store",
      "Referrer-Policy": "no-referrer",
      "X-Content-Type-Options": "nosniff",
      "Cross-Origin-Resource-Policy": "same-origin",
    });
    ctx.body = page.html;
  };
}

/**
 * Whether a request comes from a browser or tool on this machine that asked for this machine by name. The Host check
 * stops DNS rebinding; a forwarding header means a proxy, behind which anybody may be; an Origin means a script of some page.
 */
export function isAtThisMachine(
  request: Pick<IncomingMessage, "headers"> & { readonly socket: { readonly remoteAddress?: string | undefined } },
): boolean {
  const { headers, socket } = request;
  return (
    /^(127(\.\d{1,3}){3}|::1|::ffff:127(\.\d{1,3}){3})$/.test(socket.remoteAddress ?? "") &&
    /^(localhost|127\.0\.0\.1)(:\d{1,5})?$/i.test(headers.host ?? "") &&
    headers.origin === undefined &&
    headers.forwarded === undefined &&
    headers["x-forwarded-for"] === undefined &&
    headers["x-forwarded-host"] === undefined
  );
}

async function documentFor(db: Db, messageId: string | undefined, htmlPart: boolean): Promise<Document> {
  if (messageId === undefined) return { status: 200, html: listPage(await newestMessages(db)), policy: OWN_PAGE };
  // Ids are of our making and need no decoding; one with a `%` in it is none of ours.
  const message = await findMessage(db, messageId);
  if (message === undefined)
    return { status: 404, html: frame("No such message", '<p><a href="/mailbox">Mailbox</a></p>'), policy: OWN_PAGE };
  if (htmlPart) return { status: 200, html: message.html_body, policy: FOREIGN_PAGE };
  return { status: 200, html: messagePage(message), policy: OWN_PAGE };
}

function listPage(messages: readonly MailboxLine[]): string {
  const lines = messages.map(
    (message) =>
      `<tr><td>${message.sent_at.toISOString()}</td><td>${escapeHtml(message.recipient)}</td>` +
      `<td><a href="/mailbox/${encodeURIComponent(message.message_id)}">${escapeHtml(message.subject)}</a></td></tr>`,
  );
  const table = `<table><thead><tr><th>Sent</th><th>To</th><th>Subject</th></tr></thead><tbody>${lines.join("")}</tbody></table>`;
  return frame(
    "Mailbox",
    `<p>Mail this machine would have sent, newest first (200 at most).</p>${messages.length === 0 ? "<p>Nothing yet.</p>" : table}`,
  );
}

function messagePage(message: MailboxMessage): string {
  return frame(
    message.subject,
    `<p><a href="/mailbox">Mailbox</a></p>
<dl><dt>To</dt><dd>${escapeHtml(message.recipient)}</dd><dt>Sent</dt><dd>${message.sent_at.toISOString()}</dd>
<dt>Message-ID</dt><dd>${escapeHtml(message.message_id)}</dd></dl>
<pre>${escapeHtml(message.text_body)}</pre>
<p><a href="/mailbox/${encodeURIComponent(message.message_id)}/html">The HTML part</a></p>`,
  );
}

function frame(title: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}td,th{text-align:left;padding:.2rem 1rem .2rem 0}pre{white-space:pre-wrap;background:#f4f4f4;padding:1rem}</style>
</head><body><h1>${escapeHtml(title)}</h1>${body}</body></html>
`;
}
