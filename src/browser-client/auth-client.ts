/**
 * For web pages: signs in, adds the access token to requests, and refreshes it once for all tabs. Imports nothing, so that what
 * `npm run build` makes of it is one ES module for any page: `dist/browser-client/auth-client.js`.
 */

/** What a tab knows of its session. In cookie mode the refresh token is the browser's alone. */
interface Session {
  readonly accessToken: string;
  /** When the access token ends, by this machine's clock. */
  readonly untilMs: number;
  readonly refreshToken?: string | undefined;
  readonly csrfToken?: string | undefined;
}

/** What tabs tell each other. */
type Message =
  | { readonly kind: "out" }
  | { readonly kind: "session"; readonly session: Session }
  /** Has anybody a token that counts, and is not this one? */
  | { readonly kind: "ask"; readonly has: string | undefined };

/** The part of `navigator.locks` that is used. */
export interface Locks {
  readonly request: <Result>(name: string, work: () => Promise<Result>) => Promise<Result>;
}

/** The part of a BroadcastChannel that is used. */
export interface Channel {
  readonly postMessage: (message: unknown) => void;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  readonly close: () => void;
}

/** The part of `localStorage` that is used. */
export type Store = Pick<Storage, "getItem" | "setItem" | "removeItem">;

export interface AuthClientOptions {
  /** Where the service is, e.g. `https://accounts.example.com`; the access token is sent nowhere else. */
  readonly baseUrl: string;
  readonly fetch?: typeof fetch;
  /** `cookie`: the session outlives the page and is shared by its tabs. `memory`: it ends with the page. */
  readonly storage: "cookie" | "memory";
  /** In place of what the browser has; `undefined` for doing without. */
  readonly locks?: Locks | undefined;
  readonly channel?: Channel | undefined;
  readonly store?: Store | undefined;
}

/** What the service answers, when it is JSON. */
type Document = { readonly code?: string; readonly [name: string]: unknown };
type Tokens = { readonly accessToken?: string; readonly refreshToken?: string; readonly csrfToken?: string; readonly expiresIn?: number };

/** A refusal of the service. */
export class AuthProblem extends Error {
  readonly status: number;
  /** Its `code` is stable; `mfa.required` has the challenge in `mfa`. */
  readonly document: Document;

  constructor(status: number, document: Document) {
    super(document.code ?? `status ${status}`);
    this.name = "AuthProblem";
    this.status = status;
    this.document = document;
  }
}

export interface AuthClient {
  /** Each of the three signs in and gives the account, and a restriction if one stands. @throws AuthProblem */
  readonly register: (person: { readonly email: string; readonly username: string; readonly password: string }) => Promise<Document>;
  readonly login: (person: { readonly emailOrUsername: string; readonly password: string }) => Promise<Document>;
  readonly answerChallenge: (answer: {
    readonly challenge: string;
    readonly code: string;
    readonly trustDevice?: boolean;
  }) => Promise<Document>;
  readonly logout: () => Promise<void>;
  /** `fetch` with the access token; a request whose token had expired is sent once more. A body that is a stream cannot be. */
  readonly fetch: (path: string, init?: RequestInit) => Promise<Response>;
  /** Whether there is a session, as far as this tab knows. */
  readonly isSignedIn: () => boolean;
  /** Stops listening to other tabs. */
  readonly close: () => void;
}

/** How long other tabs get to say that they have a newer token, in ms; those that are there answer in a few. */
const ASK_MS = 60;

/** @throws TypeError for a `baseUrl` that is none */
export function createAuthClient(options: AuthClientOptions): AuthClient {
  const tab = new Tab(options);
  return {
    register: (person) => tab.signIn("/api/auth/register", person),
    login: (person) => tab.signIn("/api/auth/login", person),
    answerChallenge: (answer) => tab.signIn("/api/auth/mfa/verify", answer),
    logout: () => tab.logout(),
    fetch: (path, init) => tab.fetch(path, init),
    isSignedIn: () => tab.isSignedIn(),
    close: () => tab.close(),
  };
}

type Page = { navigator?: { locks?: Locks }; localStorage?: Store; BroadcastChannel?: new (name: string) => Channel };

class Tab {
  readonly #base: URL;
  readonly #asCookie: boolean;
  readonly #send: typeof fetch;
  /** Of the lock, the channel and the entry in the store. */
  readonly #name: string;
  readonly #locks: Locks | undefined;
  readonly #store: Store | undefined;
  readonly #channel: Channel | undefined;
  #session: Session | undefined;
  #refreshing: Promise<boolean> | undefined;
  #heard: (() => void) | undefined;

  constructor(options: AuthClientOptions) {
    const page = globalThis as unknown as Page;
    this.#base = new URL(options.baseUrl);
    this.#asCookie = options.storage === "cookie";
    this.#send = options.fetch ?? globalThis.fetch.bind(globalThis);
    this.#name = `user-service ${this.#base.href}`;
    if (!this.#asCookie) return;
    this.#locks = "locks" in options ? options.locks : page.navigator?.locks;
    this.#store = "store" in options ? options.store : page.localStorage;
    this.#channel = "channel" in options ? options.channel : page.BroadcastChannel && new page.BroadcastChannel(this.#name);
    if (this.#channel !== undefined) this.#channel.onmessage = ({ data }) => this.#hear(data as Message);
  }

  readonly isSignedIn = (): boolean => this.#session !== undefined || this.#csrfToken() !== undefined;
  readonly close = (): void => this.#channel?.close();
  get #token(): string | undefined {
    return this.#session?.accessToken;
  }

  signIn(path: string, body: object): Promise<Document> {
    return this.#locked(async () => {
      const answer = await this.#post(path, { body, headers: this.#asCookie ? { "X-Session-Mode": "cookie" } : {} });
      const { accessToken: _, refreshToken: __, csrfToken: ___, ...rest } = answer;
      this.#takeAnswer(answer);
      return rest;
    });
  }

  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const url = new URL(path, this.#base);
    if (url.origin !== this.#base.origin) throw new TypeError(`${url.origin} is not where the access token belongs`);
    if (this.#session === undefined && this.isSignedIn()) await this.#refreshOnce(undefined);
    const used = this.#token;
    const response = await this.#attempt(url, init);
    if (response.status !== 401) return response;
    const { code } = await documentOf(response);
    if (String(code).startsWith("session.") && this.#token === used) this.#take(undefined);
    return code === "token.expired" && (await this.#refreshOnce(used)) ? await this.#attempt(url, init) : response;
  }

  #attempt(url: URL, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.#token !== undefined) headers.set("Authorization", `Bearer ${this.#token}`);
    return this.#send(url, { credentials: "omit", ...init, headers });
  }

  async logout(): Promise<void> {
    const inCookieMode = { credentials: "include", headers: { "X-Session-Mode": "cookie" } } as const;
    const response = await this.fetch("/api/auth/logout", { method: "POST", ...(this.#asCookie && inCookieMode) });
    if (!response.ok && response.status !== 401) throw new AuthProblem(response.status, await documentOf(response));
    this.#take(undefined);
  }

  /** One at a time in this tab, and with locks in all of them. Says whether there is another token than `stale` now. */
  #refreshOnce(stale: string | undefined): Promise<boolean> {
    if (this.#token !== undefined && this.#token !== stale) return Promise.resolve(true);
    this.#refreshing ??= this.#locked(() => this.#refresh(stale)).finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  async #refresh(stale: string | undefined): Promise<boolean> {
    await this.#askOthers(stale);
    if (this.#token !== undefined && this.#token !== stale) return true;
    const refreshToken = this.#session?.refreshToken;
    const csrfToken = this.#csrfToken();
    if (refreshToken === undefined && csrfToken === undefined) return false;
    try {
      const presented = csrfToken === undefined ? { body: { refreshToken } } : { headers: { "X-CSRF-Token": csrfToken } };
      this.#takeAnswer(await this.#post("/api/auth/refresh", presented));
      return true;
    } catch (error) {
      if (!(error instanceof AuthProblem)) throw error;
      if (error.status === 401) this.#take(undefined);
      return false;
    }
  }

  /** Whoever refreshed while this tab waited for the lock may not have been heard yet. */
  async #askOthers(stale: string | undefined): Promise<void> {
    if (this.#channel === undefined) return;
    this.#channel.postMessage({ kind: "ask", has: stale });
    await new Promise<void>((resolve) => {
      this.#heard = resolve;
      setTimeout(resolve, ASK_MS);
    });
    this.#heard = undefined;
  }

  #hear(message: Message): void {
    const own = this.#session;
    if (message.kind === "out") this.#session = undefined;
    else if (message.kind === "ask") {
      if (own !== undefined && own.accessToken !== message.has && own.untilMs > Date.now())
        this.#channel?.postMessage({ kind: "session", session: own });
    } else if (own === undefined || own.untilMs < message.session.untilMs) {
      this.#session = message.session;
      this.#heard?.();
    }
  }

  #takeAnswer({ accessToken, refreshToken, csrfToken, expiresIn = 0 }: Tokens): void {
    // Registering may only have sent a mail.
    if (accessToken !== undefined) this.#take({ accessToken, refreshToken, csrfToken, untilMs: Date.now() + expiresIn * 1_000 });
  }

  #take(session: Session | undefined): void {
    this.#session = session;
    if (session?.csrfToken === undefined) this.#store?.removeItem(this.#name);
    else this.#store?.setItem(this.#name, session.csrfToken);
    this.#channel?.postMessage(session === undefined ? { kind: "out" } : { kind: "session", session });
  }

  #csrfToken(): string | undefined {
    // What is stored is of the latest session, as the cookie is.
    return this.#store?.getItem(this.#name) ?? this.#session?.csrfToken;
  }

  #locked<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#locks === undefined ? work() : this.#locks.request(this.#name, work);
  }

  async #post(path: string, { body, headers }: { body?: object; headers?: Record<string, string> }): Promise<Document & Tokens> {
    const response = await this.#send(new URL(path, this.#base), {
      method: "POST",
      credentials: this.#asCookie ? "include" : "omit",
      headers: { ...headers, ...(body !== undefined && { "Content-Type": "application/json" }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const answer = await documentOf(response);
    if (!response.ok) throw new AuthProblem(response.status, answer);
    return answer;
  }
}

async function documentOf(response: Response): Promise<Document> {
  const text = await response.clone().text();
  return response.headers.get("Content-Type")?.includes("json") === true ? (JSON.parse(text) as Document) : {};
}
