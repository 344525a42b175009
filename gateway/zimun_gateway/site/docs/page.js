"use strict";

const form = document.getElementById("credentials");
const output = document.getElementById("token");
let token = "";

/* The address that `zimun up --demo` prints has the client in its fragment, which no server sees. */
function credentialsFromAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (!given.has("client_secret")) return false;
  for (const name of ["client_id", "client_secret"]) form.elements[name].value = given.get(name);
  history.replaceState(null, "", location.pathname);
  return true;
}

async function getToken() {
  const { client_id, client_secret } = form.elements;
  const body = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: client_id.value,
    client_secret: client_secret.value,
  });
  const response = await fetch("/oauth/token", { method: "POST", body });
  const answer = await response.json();
  token = response.ok ? answer.access_token : "";
  output.value = response.ok
    ? `A token for ${answer.expires_in / 60} minutes: calls below are sent with it.`
    : `Refused: ${answer.error_description || answer.message}.`;
}

/* The next weekday from three days ahead on, as YYYY-MM-DD. */
function openDate() {
  const day = new Date(Date.now() + 3 * 86400000);
  while (day.getUTCDay() % 6 === 0) day.setUTCDate(day.getUTCDate() + 1);
  return day.toISOString().slice(0, 10);
}

/* The examples of the document have a date of the published documentation, which may be over. */
async function readDocument() {
  const response = await fetch("/openapi.json");
  const text = await response.text();
  return JSON.parse(text.replaceAll("2026-02-20", openDate()));
}

function prepare(request) {
  const path = new URL(request.url, location.href).pathname;
  if (token && path.startsWith("/api/")) request.headers.Authorization = `Bearer ${token}`;
  return request;
}

/* Swagger UI leaves some of its controls without a name, and scrolling texts out of reach of Tab. */
function nameControls() {
  for (const control of document.querySelectorAll("#api select, #api textarea, #api input")) {
    if (control.labels.length || control.hasAttribute("aria-label")) continue;
    const near = control.closest("tr, .opblock-section, .responses-wrapper");
    const title = near && near.querySelector(".parameter__name, .opblock-title, h4");
    control.setAttribute("aria-label", title ? title.textContent.trim() : "Value");
  }
  for (const text of document.querySelectorAll("#api pre")) text.tabIndex = 0;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  getToken().catch((error) => { output.value = `Not reached: ${error.message}.`; });
});

document.getElementById("base").textContent = `${location.origin}/api/v1`;
if (credentialsFromAddress()) form.requestSubmit();

new MutationObserver(nameControls).observe(document.getElementById("api"), {
  childList: true,
  subtree: true,
});

readDocument().then((spec) => SwaggerUIBundle({
  spec,
  dom_id: "#api",
  displayRequestDuration: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  requestInterceptor: prepare,
  syntaxHighlight: false,
  validatorUrl: null,
}));
