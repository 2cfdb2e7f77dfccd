/** Who is who in a test's Kubernetes: the API server asks here (TokenReview webhook), since its token file is read at its start only. */

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** The webhook, and the tokens it knows. */
export interface TokenReviews extends AsyncDisposable {
  readonly url: string;
  /** Makes a token. */
  readonly tokenFor: (name: string, groups?: readonly string[]) => string;
}

interface Review {
  readonly spec: { readonly token: string };
}

/** Answers TokenReviews (authentication.k8s.io/v1) on a free port of 127.0.0.1. */
export async function startTokenReviews(): Promise<TokenReviews> {
  const users = new Map<string, { readonly username: string; readonly groups: readonly string[] }>();
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const review = JSON.parse(await text(request)) as Review;
    const user = users.get(review.spec.token);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ ...review, status: { authenticated: user !== undefined, user } }));
  };
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.writeHead(400).end());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tokenFor: (username, groups = []) => {
      const token = randomBytes(24).toString("hex");
      users.set(token, { username, groups });
      return token;
    },
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}
