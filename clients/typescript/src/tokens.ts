import { repeat } from "./send.js";

export interface Credentials {
  /** Where the API is served, such as `http://localhost:8080`. */
  baseUrl: string;
  clientId: string;
  clientSecret: string;
}

/** The token endpoint refused the client; `error` is one of RFC 6749, 5.2. */
export class TokenRefused extends Error {
  readonly error: string;

  constructor(error: string, description: string) {
    super(description);
    this.name = "TokenRefused";
    this.error = error;
  }
}

interface Token {
  value: string;
  /** When a new one is due, in milliseconds since 1970. */
  renewAt: number;
}

/** Tokens of a client (RFC 6749, 4.4): one at a time, renewed before it ends. */
export class Tokens {
  readonly #credentials: Credentials;
  readonly #transport: (request: Request) => Promise<Response>;
  readonly #maxAttempts: number;
  #token: Token | undefined;
  #pending: Promise<Token> | undefined;

  constructor(
    credentials: Credentials,
    transport: (request: Request) => Promise<Response>,
    maxAttempts: number,
  ) {
    this.#credentials = credentials;
    this.#transport = transport;
    this.#maxAttempts = maxAttempts;
  }

  /** A good token; callers at the same time wait for the same one. */
  async get(): Promise<string> {
    if (this.#token && Date.now() < this.#token.renewAt) return this.#token.value;
    this.#pending ??= this.#request().finally(() => {
      this.#pending = undefined;
    });
    this.#token = await this.#pending;
    return this.#token.value;
  }

  /** Forgets a token that was refused; a newer one stays. */
  forget(refused: string): void {
    if (this.#token?.value === refused) this.#token = undefined;
  }

  async #request(): Promise<Token> {
    const { baseUrl, clientId, clientSecret } = this.#credentials;
    const body = new URLSearchParams({
      grant_type: "client_credentials",
      client_id: clientId,
      client_secret: clientSecret,
    });
    const attempt = (): Promise<Response> =>
      this.#transport(new Request(`${baseUrl}/oauth/token`, { method: "POST", body }));
    const response = await repeat(attempt, this.#maxAttempts);
    const answer = await response.json();
    if (!response.ok) throw new TokenRefused(answer.error, answer.error_description);
    const lifetime = answer.expires_in * 1000;
    return { value: answer.access_token, renewAt: Date.now() + 0.8 * lifetime };
  }
}
