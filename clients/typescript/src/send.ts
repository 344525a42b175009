import type { Tokens } from "./tokens.js";

type Transport = (request: Request) => Promise<Response>;

/** Statuses after which the same request may succeed: with its key it takes effect once. */
const TEMPORARY = new Set([429, 502, 503, 504]);

/**
 * Sends a request with a token and, where it changes something, an Idempotency-Key; repeats it while its
 * failure is temporary, and once with a new token where its token is refused.
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
  const sendWith = (token: string): Promise<Response> => {
    request.headers.set("Authorization", `Bearer ${token}`);
    return repeat(() => transport(request.clone()), maxAttempts, request.signal);
  };
  const token = await tokens.get();
  const response = await sendWith(token);
  if (response.status !== 401) return response;
  await response.body?.cancel();
  tokens.forget(token);
  return sendWith(await tokens.get());
}

/** The response of an attempt whose failure is not temporary, or of the last one. */
export async function repeat(
  attempt: () => Promise<Response>,
  maxAttempts: number,
  signal?: AbortSignal,
): Promise<Response> {
  for (let number = 1; ; number++) {
    const response = await attempt().catch((error: unknown) => {
      if (number >= maxAttempts || signal?.aborted) throw error;
      return undefined;
    });
    if (response && (number >= maxAttempts || !TEMPORARY.has(response.status))) return response;
    await response?.body?.cancel();
    await delay(waitSeconds(response, number));
  }
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
