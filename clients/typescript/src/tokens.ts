import { repeat, unlessAborted } from "./retry.js";

export interface Credentials {
  /** Where the API is served, such as `http://localhost:8080`. */
  baseUrl: string;
  clientId: string;
  clientSecret: string;
}

/** The token endpoint gave no token. */
export class TokenRefused extends Error {
  /** One of RFC 6749, 5.2; empty where the response has none. */
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

  /** A good token; callers at the same time wait for the same one, each until its signal ends. */
  async get(signal?: AbortSignal): Promise<string> {
    if (this.#token && Date.now() < this.#token.renewAt) return this.#token.value;
    this.#pending ??= this.#renew().finally(() => {
      this.#pending = undefined;
    });
    return (await unlessAborted(this.#pending, signal)).value;
  }

  /** Forgets a token that was refused; a newer one stays. */
  forget(refused: string): void {
    if (this.#token?.value === refused) this.#token = undefined;
  }

  async #renew(): Promise<Token> {
    const { baseUrl, clientId, clientSecret } = this.#credentials;
    const body = new URLSearchParams({
      grant_type: "client_credentials",
      client_id: clientId,
      client_secret: clientSecret,
    });
    const attempt = (): Promise<Response> =>
      this.#transport(new Request(`${baseUrl}/oauth/token`, { method: "POST", body }));
    const response = await repeat(attempt, this.#maxAttempts);
    this.#token = tokenOf(response, parsed(await response.text()));
    return this.#token;
  }
}

/** The token of an answer; throws TokenRefused where it has none. */
function tokenOf(response: Response, answer: Record<string, unknown>): Token {
  const { access_token, expires_in, error, error_description } = answer;
  if (!response.ok) {
    throw new TokenRefused(String(error ?? ""), String(error_description ?? `HTTP ${response.status}`));
  }
  if (typeof access_token !== "string" || !access_token || typeof expires_in !== "number") {
    throw new TokenRefused("", "the response is not JSON with access_token and expires_in");
  }
  return { value: access_token, renewAt: Date.now() + 0.8 * expires_in * 1000 };
}

/** The fields of a JSON object; none of any other text. */
function parsed(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}
