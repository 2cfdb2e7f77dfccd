/** The security headers, worked out once by koa-helmet: run at each request it costs 12 µs, as much as half of a bare answer. */

import type { ParameterizedContext } from "koa";
import helmet from "koa-helmet";

/** What a page we serve may load: nothing but its own files. `data:` is for the pictures within Swagger UI's style sheet. */
const PAGE_POLICY = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
  imgSrc: ["'self'", "data:"],
  connectSrc: ["'self'"],
  baseUri: ["'none'"],
  formAction: ["'none'"],
  frameAncestors: ["'none'"],
};

const ANSWER_POLICY = { defaultSrc: ["'none'"], frameAncestors: ["'none'"] };

/** Headers flat: name, value, name, value. */
export interface SecurityHeaders {
  /** For JSON answers and problems. */
  readonly answer: readonly string[];
  /** For the documentation page. */
  readonly page: readonly string[];
}

/** @param https whether clients reach us by https; only then browsers are told to insist on it */
export function securityHeaders(https: boolean): SecurityHeaders {
  return { answer: collect(https, ANSWER_POLICY), page: collect(https, PAGE_POLICY) };
}

function collect(https: boolean, directives: Record<string, string[]>): string[] {
  const headers: string[] = [];
  const response = {
    setHeader: (name: string, value: string): void => {
      headers.push(name, value);
    },
    removeHeader: (): void => {},
  };
  const middleware = helmet({
    contentSecurityPolicy: { useDefaults: false, directives },
    strictTransportSecurity: https,
    xFrameOptions: { action: "deny" },
    // Of use for pages with links or for browsers that are gone; each would cost on every answer.
    originAgentCluster: false,
    xDnsPrefetchControl: false,
    xDownloadOptions: false,
    xPermittedCrossDomainPolicies: false,
    xXssProtection: false,
  });
  // Helmet reads nothing of a request and sets its headers before the first await.
  void middleware({ req: {}, res: response } as unknown as ParameterizedContext, () => Promise.resolve());
  if (headers.length === 0) throw new Error("koa-helmet set no header: it has become asynchronous");
  return headers;
}
