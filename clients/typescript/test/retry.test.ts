/** Tokens and repetition, against responses that a server gives only in trouble. */
import assert from "node:assert/strict";
import test from "node:test";
import { createZimun, TokenRefused, type Options, type Zimun } from "../dist/index.js";

const ORGANIZATION = "/api/v1/organization";
const token = (): Response => Response.json({ access_token: "a.b.c", expires_in: 900 });
const busy = (seconds: number): Response =>
  Response.json({}, { status: 503, headers: { "Retry-After": `${seconds}` } });

/** A client of a server with these answers to requests for tokens and to others. */
function clientOf(
  tokens: (request: Request) => Response | Promise<Response>,
  answers: () => Response,
  maxAttempts = 4,
): Zimun {
  const options: Options = { baseUrl: "http://localhost", clientId: "c", clientSecret: "s", maxAttempts };
  return createZimun({
    ...options,
    fetch: async (request) => (request.url.endsWith("/oauth/token") ? tokens(request) : answers()),
  });
}

const WITHOUT_TOKEN: [number, string, string][] = [
  [200, "<html>", ""],
  [200, "null", ""],
  [200, '{"expires_in": 900}', ""],
  [200, '{"access_token": null, "expires_in": 900}', ""],
  [200, '{"access_token": "a.b.c"}', ""],
  [502, "<html>", ""],
  [401, '{"error": "invalid_client"}', "invalid_client"],
];

for (const [status, body, expected] of WITHOUT_TOKEN) {
  test(`${status} ${body} is no token`, async () => {
    const client = clientOf(() => new Response(body, { status }), busy.bind(null, 0), 1);
    await assert.rejects(client.GET(ORGANIZATION), (error) => {
      assert.ok(error instanceof TokenRefused);
      assert.ok(error.message);
      return error.error === expected;
    });
  });
}

test("a response that asks for a long wait is the last one", { timeout: 5000 }, async () => {
  let sent = 0;
  const client = clientOf(token, () => (sent++, busy(31)));
  const { response } = await client.GET(ORGANIZATION);
  assert.equal(response.status, 503);
  assert.equal(sent, 1);
});

test("a wait ends with the signal", { timeout: 5000 }, async () => {
  const abort = new AbortController();
  let sent = 0;
  const client = clientOf(token, () => {
    sent++;
    setImmediate(() => abort.abort(new Error("enough")));
    return busy(20);
  });
  await assert.rejects(client.GET(ORGANIZATION, { signal: abort.signal }), /enough/);
  assert.equal(sent, 1);
});

test("a wait for a token ends with the signal of its call alone", { timeout: 5000 }, async () => {
  let release = (_: Response): void => undefined;
  let tell = (): void => undefined;
  const asked = new Promise<void>((resolve) => (tell = resolve));
  const client = clientOf(
    () => {
      tell();
      return new Promise((resolve) => (release = resolve));
    },
    () => Response.json({ id: "o_1" }),
  );
  const abort = new AbortController();
  const first = client.GET(ORGANIZATION, { signal: abort.signal });
  const second = client.GET(ORGANIZATION);
  await asked;
  abort.abort(new Error("enough"));
  await assert.rejects(first, /enough/);
  release(token());
  assert.equal((await second).data?.id, "o_1");
});

test("maxAttempts counts for each token", async () => {
  const answers = [busy(0), new Response(null, { status: 401 }), busy(0), busy(0)];
  let sent = 0;
  const client = clientOf(token, () => answers[sent++] ?? Response.json({}), 2);
  const { response } = await client.GET(ORGANIZATION);
  assert.equal(response.status, 503);
  assert.equal(sent, 4);
});
