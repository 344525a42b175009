/**
 * A typed client of the JSON API, for Node.js and browsers.
 *
 * Every operation is a call of openapi-fetch with the types of the OpenAPI document. The client gets and
 * renews tokens, puts an Idempotency-Key on every change, and repeats requests whose failure is temporary.
 */
import createClient, { type Client } from "openapi-fetch";
import { send } from "./send.js";
import type { components, paths } from "./schema.js";
import { Tokens, type Credentials } from "./tokens.js";

export { TokenRefused } from "./tokens.js";
export type { Credentials, components, paths };

export type Zimun = Client<paths, "application/json">;

/** The one shape of errors (google.rpc.Status). */
export type ApiError = components["schemas"]["Error"];

export interface Options extends Credentials {
  /**
   * How often at the most a request is sent with one token, and a token is asked for; 4 unless given.
   * A request whose token is refused is sent with a second one.
   */
  maxAttempts?: number;
  /** What sends a request; the global `fetch` unless given. */
  fetch?: (request: Request) => Promise<Response>;
}

/** A client of one organization. */
export function createZimun(options: Options): Zimun {
  const transport = options.fetch ?? ((request: Request) => fetch(request));
  const maxAttempts = options.maxAttempts ?? 4;
  const tokens = new Tokens(options, transport, maxAttempts);
  return createClient<paths, "application/json">({
    baseUrl: options.baseUrl,
    fetch: (request) => send(request, tokens, transport, maxAttempts),
  });
}

/** Why a call was refused, such as `SLOT_UNAVAILABLE`; empty for an error without a reason. */
export function reasonOf(error: ApiError): string {
  const [info] = error.details;
  return info && "reason" in info ? info.reason : "";
}

interface Page<Item> {
  data?: { items: Item[]; next_page_token: string };
  error?: ApiError;
}

/** The items of all pages; an Error with the refusal as its cause where a page is refused. */
export async function* allItems<Item>(
  page: (page_token: string) => Promise<Page<Item>>,
): AsyncGenerator<Item> {
  let token = "";
  do {
    const { data, error } = await page(token);
    if (!data) throw new Error(error?.message ?? "no answer", { cause: error });
    yield* data.items;
    token = data.next_page_token;
  } while (token);
}
