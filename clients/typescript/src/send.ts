import { repeat } from "./retry.js";
import type { Tokens } from "./tokens.js";

type Transport = (request: Request) => Promise<Response>;

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
  const token = await tokens.get(request.signal);
  const response = await sendWith(token);
  if (response.status !== 401) return response;
  await response.body?.cancel();
  tokens.forget(token);
  return sendWith(await tokens.get(request.signal));
}
