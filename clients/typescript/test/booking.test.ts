/** Against a running demo: ZIMUN_BASE_URL, ZIMUN_CLIENT_ID and ZIMUN_CLIENT_SECRET. */
import assert from "node:assert/strict";
import test from "node:test";
import { allItems, createZimun, reasonOf, TokenRefused, type Options } from "../dist/index.js";

const options: Options = {
  baseUrl: process.env["ZIMUN_BASE_URL"] ?? "http://localhost:8080",
  clientId: process.env["ZIMUN_CLIENT_ID"] ?? "",
  clientSecret: process.env["ZIMUN_CLIENT_SECRET"] ?? "",
};
const zimun = createZimun(options);

async function openTime(skip: number): Promise<string> {
  const { data } = await zimun.GET("/api/v1/availability/next", {
    params: { query: { service_id: "s_123", count: skip + 1 } },
  });
  const slot = data?.slots[skip];
  assert.ok(slot?.start_time);
  return slot.start_time;
}

test("a slot is held, confirmed, moved and cancelled", async () => {
  const [time, later] = [await openTime(0), await openTime(1)];
  const hold = await zimun.POST("/api/v1/appointments/hold", {
    body: { service_id: "s_123", appointment_time: time },
  });
  assert.equal(hold.data?.state, "HELD");
  const booked = await zimun.POST("/api/v1/appointments/confirm", {
    body: { hold_id: hold.data.hold_id, contact_name: "Dana Lee", contact_email: "dana@example.com" },
  });
  assert.ok(booked.data);
  const { appointment_id } = booked.data;
  const moved = await zimun.POST("/api/v1/appointments/reschedule", {
    body: { appointment_id, start_time: later },
  });
  assert.equal(moved.data?.start_time, later);
  const cancelled = await zimun.POST("/api/v1/appointments/cancel", { body: { appointment_id } });
  assert.equal(cancelled.data?.state, "CANCELLED");
  const seen = await zimun.GET("/api/v1/appointments/{appointment_id}", {
    params: { path: { appointment_id } },
  });
  assert.deepEqual(seen.data, cancelled.data);
});

test("a refusal has a reason", async () => {
  const { error, response } = await zimun.GET("/api/v1/services/{service_id}", {
    params: { path: { service_id: "s_none" } },
  });
  assert.equal(response.status, 404);
  assert.ok(error);
  assert.equal(reasonOf(error), "SERVICE_NOT_FOUND");
});

test("all pages are read", async () => {
  const names: string[] = [];
  const services = allItems((page_token) =>
    zimun.GET("/api/v1/services", { params: { query: { page_size: 1, page_token } } }),
  );
  for await (const service of services) names.push(service.id);
  assert.deepEqual(names, ["s_123", "s_treatment", "s_yoga"]);
});

test("a request whose answer was lost is repeated and takes effect once", async () => {
  const keys: (string | null)[] = [];
  const unlucky = createZimun({
    ...options,
    async fetch(request) {
      const response = await fetch(request);
      if (!request.url.endsWith("/hold")) return response;
      keys.push(request.headers.get("Idempotency-Key"));
      if (keys.length > 1) return response;
      await response.body?.cancel();
      throw new TypeError("connection lost");
    },
  });
  const time = await openTime(3);
  const hold = await unlucky.POST("/api/v1/appointments/hold", {
    body: { service_id: "s_123", appointment_time: time },
  });
  assert.equal(hold.data?.state, "HELD");
  assert.equal(keys.length, 2);
  assert.equal(keys[0], keys[1]);
  const free = await zimun.GET("/api/v1/availability", {
    params: { query: { service_id: "s_123", date: time.slice(0, 10) } },
  });
  const left = free.data?.slots.find((slot) => slot.start_time === time);
  assert.equal(left?.staff_ids.length, 2);
});

test("a token that is refused is renewed", async () => {
  let tokens = 0;
  const client = createZimun({
    ...options,
    async fetch(request) {
      if (!request.url.endsWith("/oauth/token") || ++tokens > 1) return fetch(request);
      return Response.json({ access_token: "a.b.c", expires_in: 900 });
    },
  });
  const { data } = await client.GET("/api/v1/organization");
  assert.equal(data?.id, "o_demo");
  assert.equal(tokens, 2);
});

test("a token that is refused again is an error", async () => {
  let tokens = 0;
  const client = createZimun({
    ...options,
    async fetch(request) {
      if (!request.url.endsWith("/oauth/token")) return fetch(request);
      tokens++;
      return Response.json({ access_token: "a.b.c", expires_in: 900 });
    },
  });
  const { response } = await client.GET("/api/v1/organization");
  assert.equal(response.status, 401);
  assert.equal(tokens, 2);
});

test("calls at the same time share a token, also where it is refused", async () => {
  let tokens = 0;
  const client = createZimun({
    ...options,
    async fetch(request) {
      if (!request.url.endsWith("/oauth/token") || ++tokens > 1) return fetch(request);
      return Response.json({ access_token: "a.b.c", expires_in: 900 });
    },
  });
  const calls = Array.from({ length: 5 }, () => client.GET("/api/v1/organization"));
  for (const { data } of await Promise.all(calls)) assert.equal(data?.id, "o_demo");
  assert.equal(tokens, 2);
});

test("a token endpoint that is busy or not reached is asked again", async () => {
  let tokens = 0;
  const client = createZimun({
    ...options,
    async fetch(request) {
      if (!request.url.endsWith("/oauth/token") || ++tokens > 2) return fetch(request);
      if (tokens === 1) throw new TypeError("connection lost");
      return Response.json({}, { status: 503, headers: { "Retry-After": "0" } });
    },
  });
  const { data } = await client.GET("/api/v1/organization");
  assert.equal(data?.id, "o_demo");
  assert.equal(tokens, 3);
});

test("a wrong secret is told", async () => {
  const client = createZimun({ ...options, clientSecret: "zs_wrong" });
  await assert.rejects(client.GET("/api/v1/organization"), (error) => {
    assert.ok(error instanceof TokenRefused);
    return error.error === "invalid_client";
  });
});
