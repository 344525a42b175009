import type { Tokens } from "./tokens.js";

type Transport = (request: Request) => Promise<Response>;

/** Statuses after which the same request may succeed: with its key it takes effect once. */
const TEMPORARY = new Set([429, 502, 503, 504]);

/**
 * Sends a request with a token and, where it changes something, an Idempotency-Key; repeats it while its
 * failure is temporary.
 */
export async function send(
  request: Request,
  tokens: Tokens,
  transport: Transport,
  maxAttempts: number,
): Promise<Response> {
  if (request.method !== "GET" && !request.headers.has("Idempotency-Key")) {
    request.headers.set("Idempotency-Key", crypto.randomUUID());
  }
  for (let attempt = 1; ; attempt++) {
    const last = attempt >= maxAttempts;
    const response = await attemptOnce(request, tokens, transport, last);
    if (response && (last || !isTemporary(response))) return response;
    if (response?.status === 401) tokens.forget();
    else await delay(waitSeconds(response, attempt));
    await response?.body?.cancel();
  }
}

/** The response; undefined where the connection failed, an error where that was the last attempt. */
async function attemptOnce(
  request: Request,
  tokens: Tokens,
  transport: Transport,
  last: boolean,
): Promise<Response | undefined> {
  const copy = request.clone();
  copy.headers.set("Authorization", `Bearer ${await tokens.get()}`);
  try {
    return await transport(copy);
  } catch (error) {
    if (last || request.signal.aborted) throw error;
    return undefined;
  }
}

function isTemporary(response: Response): boolean {
  return TEMPORARY.has(response.status) || response.status === 401;
}

/** As `Retry-After` says, else twice as long each time, from a tenth of a second on. */
function waitSeconds(response: Response | undefined, attempt: number): number {
  const said = Number(response?.headers.get("Retry-After") ?? Number.NaN);
  const backoff = Math.random() * 0.1 * 2 ** attempt;
  return Number.isFinite(said) ? said + backoff : backoff;
}

function delay(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
