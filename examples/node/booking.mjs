// Books an appointment at Zimun, moves it and calls it off again.
//
// Reads ZIMUN_BASE_URL, ZIMUN_CLIENT_ID and ZIMUN_CLIENT_SECRET from the environment; what is
// not set there comes from the file that ZIMUN_DEMO_ENV names, or that `make run` has written.

import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import axios from "axios";

const ATTEMPTS = 5;

/** Zimun's error answer; the token endpoint has its own shape (RFC 6749, section 5.2). */
class Refused extends Error {
  constructor({ status, statusText, data }) {
    const detail = (type) => data?.details?.find((one) => one["@type"].endsWith(`.${type}`));
    const reason = detail("ErrorInfo")?.reason ?? data?.error ?? "?";
    super(`${reason}: ${data?.message ?? data?.error_description ?? statusText} (HTTP ${status})`);
    this.reason = reason;
    this.alternatives = detail("SlotAlternatives")?.slots ?? [];
  }
}

/** The JSON API, with a token of one client. */
class Zimun {
  static async connect({ baseURL, username, password }) {
    const zimun = new Zimun();
    zimun.http = axios.create({ baseURL, timeout: 10_000, validateStatus: null });
    const token = await zimun.call({
      method: "POST",
      url: "/oauth/token",
      data: new URLSearchParams({ grant_type: "client_credentials" }),
      auth: { username, password },
    });
    zimun.http.defaults.headers.common.Authorization = `Bearer ${token.access_token}`;
    console.log(`token: good for ${token.expires_in} s`);
    return zimun;
  }

  /** Sends a request, and again while the server asks to come back later. */
  async call(request) {
    for (let attempt = 1; ; attempt++) {
      const answer = await this.http.request(request);
      if (answer.status < 300) return answer.data;
      if (![429, 503].includes(answer.status) || attempt === ATTEMPTS) throw new Refused(answer);
      await sleep(1000 * Number(answer.headers["retry-after"] ?? 1));
    }
  }

  get(url, params) {
    return this.call({ method: "GET", url, params });
  }

  /** One key for all attempts: however often it is sent, it happens once. */
  post(url, data) {
    return this.call({ method: "POST", url, data, headers: { "Idempotency-Key": randomUUID() } });
  }

  async openSlots(serviceId) {
    const query = { service_id: serviceId, days_ahead: 7 };
    return (await this.get("/api/v1/availability", query)).slots;
  }

  /** Holds the slot or, where somebody was faster, the nearest one still open. */
  async hold(serviceId, start) {
    const wanted = { service_id: serviceId, appointment_time: start };
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      try {
        return await this.post("/api/v1/appointments/hold", wanted);
      } catch (error) {
        if (error.reason !== "SLOT_UNAVAILABLE" || !error.alternatives.length) throw error;
        wanted.appointment_time = error.alternatives[0].start_time;
        console.log(`hold: somebody was faster, trying ${wanted.appointment_time}`);
      }
    }
    throw new Error("somebody was faster each time");
  }
}

/** The demo.env that is named, or the next one upwards. */
function demoEnv() {
  if (process.env.ZIMUN_DEMO_ENV) return process.env.ZIMUN_DEMO_ENV;
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    const file = join(folder, ".zimun", "demo.env");
    if (existsSync(file) || folder === dirname(folder)) return file;
  }
}

function settings() {
  const file = demoEnv();
  const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
  const pairs = lines.map((line) => line.match(/^(\w+)=(.*)$/)).filter(Boolean);
  const found = { ...Object.fromEntries(pairs.map(([, key, value]) => [key, value])), ...process.env };
  const names = ["ZIMUN_BASE_URL", "ZIMUN_CLIENT_ID", "ZIMUN_CLIENT_SECRET"];
  const missing = names.find((name) => !found[name]);
  if (missing) throw new Error(`${missing} is not set, and there is no demo.env; see \`make run\``);
  const [baseURL, username, password] = names.map((name) => found[name]);
  return { baseURL, username, password };
}

async function book(zimun) {
  const { items: services } = await zimun.get("/api/v1/services", { page_size: 50 });
  const service = services.find((one) => one.id === "s_123");
  if (!service) throw new Error("there is no service s_123");
  console.log(`services: ${services.length}, of which s_123 is ${service.name}`);

  const slots = await zimun.openSlots("s_123");
  if (!slots.length) throw new Error("no slot is open in the next 7 days");
  console.log(`availability: ${slots.length} open slots, the first at ${slots[0].start_time}`);

  const hold = await zimun.hold("s_123", slots[0].start_time);
  console.log(`hold: ${hold.hold_id} keeps ${hold.start_time} until ${hold.expires_at}`);

  const { appointment_id, start_time, contact_name } = await zimun.post(
    "/api/v1/appointments/confirm",
    { hold_id: hold.hold_id, contact_name: "Dana Lee", contact_email: "dana@example.com" },
  );
  console.log(`confirm: ${appointment_id} at ${start_time} for ${contact_name}`);

  const other = (await zimun.openSlots("s_123")).find((slot) => slot.start_time !== start_time);
  if (!other) throw new Error("no other slot is open in the next 7 days");
  const moved = await zimun.post("/api/v1/appointments/reschedule", {
    appointment_id,
    start_time: other.start_time,
  });
  console.log(`reschedule: ${appointment_id} moved to ${moved.start_time}`);

  const cancelled = await zimun.post("/api/v1/appointments/cancel", { appointment_id });
  console.log(`cancel: ${appointment_id} is ${cancelled.state}`);
}

try {
  await book(await Zimun.connect(settings()));
} catch (error) {
  console.error(`booking failed: ${error.message || error.code}`);
  process.exitCode = 1;
}
