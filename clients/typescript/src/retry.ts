/** Repetition of requests whose failure is temporary. */

/** Statuses after which the same request may succeed: with its key it takes effect once. */
const TEMPORARY = new Set([429, 502, 503, 504]);

/** Seconds of the longest wait; a response whose `Retry-After` is longer is the last one. */
const LONGEST_WAIT = 30;

/**
 * The response of an attempt whose failure is not temporary, or of the last one.
 *
 * Waits between attempts end with the signal, whose reason is thrown.
 */
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
    const least = retryAfter(response);
    if (response && (number >= maxAttempts || !TEMPORARY.has(response.status) || least > LONGEST_WAIT)) {
      return response;
    }
    await response?.body?.cancel();
    await delay(Math.min(LONGEST_WAIT, least + backoff(number)), signal);
  }
}

/** The outcome of a promise; throws the signal's reason where that is aborted first. */
export function unlessAborted<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** The seconds of `Retry-After`; 0 where there are none. */
function retryAfter(response: Response | undefined): number {
  const seconds = Number(response?.headers.get("Retry-After"));
  return seconds > 0 ? seconds : 0;
}

/** Random seconds, at most a fifth of one at first and twice as many each time. */
function backoff(attempt: number): number {
  return Math.random() * 0.1 * 2 ** attempt;
}

function delay(seconds: number, signal?: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const passed = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, seconds * 1000);
  });
  return unlessAborted(passed, signal).finally(() => clearTimeout(timer));
}
