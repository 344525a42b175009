//! Books an appointment at Zimun, moves it and calls it off again.
//!
//! Reads ZIMUN_BASE_URL, ZIMUN_CLIENT_ID and ZIMUN_CLIENT_SECRET from the environment; what is
//! not set there comes from the file that ZIMUN_DEMO_ENV names, or that `make run` has written.

use std::collections::HashMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;
use std::{env, fmt, fs, process, thread};

use reqwest::blocking::{Client, RequestBuilder, Response};
use serde_json::{json, Value};

const ATTEMPTS: u32 = 5;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Zimun's error answer; the token endpoint has its own shape (RFC 6749, section 5.2).
#[derive(Debug)]
struct Refused {
    status: u16,
    body: Value,
}

impl Refused {
    fn detail(&self, kind: &str) -> &Value {
        let details = self.body["details"].as_array().map_or(&[][..], |all| all);
        let of_kind = |one: &&Value| one["@type"].as_str().is_some_and(|t| t.ends_with(kind));
        details.iter().find(of_kind).unwrap_or(&Value::Null)
    }

    fn reason(&self) -> &str {
        let reason = &self.detail(".ErrorInfo")["reason"];
        reason.as_str().or(self.body["error"].as_str()).unwrap_or("?")
    }

    /// The start of the nearest slot that is still open, where the wanted one is taken.
    fn alternative(&self) -> Option<String> {
        let nearest = &self.detail(".SlotAlternatives")["slots"][0]["start_time"];
        nearest.as_str().map(String::from).filter(|_| self.reason() == "SLOT_UNAVAILABLE")
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let message = self.body["message"].as_str().or(self.body["error_description"].as_str());
        write!(f, "{}: {} (HTTP {})", self.reason(), message.unwrap_or(""), self.status)
    }
}

impl Error for Refused {}

/// Sends a request, and again while the server asks to come back later.
fn send(request: RequestBuilder) -> Outcome<Value> {
    for attempt in 1.. {
        let answer = request.try_clone().ok_or("a body that cannot be sent twice")?.send()?;
        match answer.status().as_u16() {
            200 => return Ok(answer.json()?),
            429 | 503 if attempt < ATTEMPTS => thread::sleep(retry_after(&answer)),
            status => {
                return Err(Refused { status, body: answer.json().unwrap_or_default() }.into())
            }
        }
    }
    unreachable!()
}

fn retry_after(answer: &Response) -> Duration {
    let header = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
    Duration::from_secs(header.and_then(|seconds| seconds.parse().ok()).unwrap_or(1))
}

/// The JSON API, with a token of one client.
struct Zimun {
    base_url: String,
    token: String,
    http: Client,
}

impl Zimun {
    fn connect([base_url, id, secret]: [String; 3]) -> Outcome<Zimun> {
        let http = Client::builder().timeout(Duration::from_secs(10)).build()?;
        let request = http.post(format!("{base_url}/oauth/token")).basic_auth(id, Some(secret));
        let token = send(request.form(&[("grant_type", "client_credentials")]))?;
        println!("token: good for {} s", token["expires_in"]);
        Ok(Zimun { base_url, token: text(&token, "access_token")?, http })
    }

    fn get(&self, path: &str, query: &[(&str, &str)]) -> Outcome<Value> {
        let request = self.http.get(format!("{}{path}", self.base_url)).query(query);
        send(request.bearer_auth(&self.token))
    }

    /// One key for all attempts: however often it is sent, it happens once.
    fn post(&self, path: &str, body: Value) -> Outcome<Value> {
        let request = self.http.post(format!("{}{path}", self.base_url)).json(&body);
        let key = uuid::Uuid::new_v4().to_string();
        send(request.bearer_auth(&self.token).header("Idempotency-Key", key))
    }

    /// The starts of the open slots of the next 7 days.
    fn open_slots(&self, service_id: &str) -> Outcome<Vec<String>> {
        let query = [("service_id", service_id), ("days_ahead", "7")];
        let found = self.get("/api/v1/availability", &query)?;
        items(&found, "slots")?.iter().map(|slot| text(slot, "start_time")).collect()
    }

    /// Holds the slot or, where somebody was faster, the nearest one still open.
    fn hold(&self, service_id: &str, start: &str) -> Outcome<Value> {
        let mut start = start.to_string();
        for _ in 0..ATTEMPTS {
            let wanted = json!({"service_id": service_id, "appointment_time": start});
            let error = match self.post("/api/v1/appointments/hold", wanted) {
                Ok(hold) => return Ok(hold),
                Err(error) => error,
            };
            match error.downcast_ref().and_then(Refused::alternative) {
                Some(alternative) => start = alternative,
                None => return Err(error),
            }
            println!("hold: somebody was faster, trying {start}");
        }
        Err("somebody was faster each time".into())
    }
}

fn text(value: &Value, field: &str) -> Outcome<String> {
    Ok(value[field].as_str().ok_or(format!("the answer has no {field}"))?.to_string())
}

fn items<'a>(value: &'a Value, field: &str) -> Outcome<&'a Vec<Value>> {
    Ok(value[field].as_array().ok_or(format!("the answer has no {field}"))?)
}

/// The demo.env that is named, or the next one upwards; none is an empty one.
fn demo_env() -> Outcome<String> {
    let here = env::current_dir()?;
    let mut above = here.ancestors().map(|folder| folder.join(".zimun").join("demo.env"));
    let named = env::var("ZIMUN_DEMO_ENV").ok().map(PathBuf::from);
    let file = named.or_else(|| above.find(|file| file.is_file()));
    Ok(file.and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default())
}

/// Base URL, client id and secret.
fn settings() -> Outcome<[String; 3]> {
    let file = demo_env()?;
    let found: HashMap<&str, &str> = file.lines().filter_map(|l| l.split_once('=')).collect();
    let setting = |name: &str| {
        let value = env::var(name).ok().or_else(|| found.get(name).map(|value| value.to_string()));
        value.ok_or(format!("{name} is not set, and there is no demo.env; see `make run`"))
    };
    Ok([setting("ZIMUN_BASE_URL")?, setting("ZIMUN_CLIENT_ID")?, setting("ZIMUN_CLIENT_SECRET")?])
}

fn book() -> Outcome<()> {
    let zimun = Zimun::connect(settings()?)?;

    let services = zimun.get("/api/v1/services", &[("page_size", "50")])?;
    let services = items(&services, "items")?;
    let service = services.iter().find(|one| one["id"] == "s_123");
    let name = text(service.ok_or("there is no service s_123")?, "name")?;
    println!("services: {}, of which s_123 is {name}", services.len());

    let slots = zimun.open_slots("s_123")?;
    let first = slots.first().ok_or("no slot is open in the next 7 days")?;
    println!("availability: {} open slots, the first at {first}", slots.len());

    let hold = zimun.hold("s_123", first)?;
    let (hold_id, start) = (text(&hold, "hold_id")?, text(&hold, "start_time")?);
    println!("hold: {hold_id} keeps {start} until {}", text(&hold, "expires_at")?);

    let contact = json!({
        "hold_id": hold_id, "contact_name": "Dana Lee", "contact_email": "dana@example.com",
    });
    let appointment = zimun.post("/api/v1/appointments/confirm", contact)?;
    let id = text(&appointment, "appointment_id")?;
    println!("confirm: {id} at {start} for {}", text(&appointment, "contact_name")?);

    let slots = zimun.open_slots("s_123")?;
    let other = slots.iter().find(|slot| **slot != start);
    let other = other.ok_or("no other slot is open in the next 7 days")?;
    let change = json!({"appointment_id": id, "start_time": other});
    let moved = zimun.post("/api/v1/appointments/reschedule", change)?;
    println!("reschedule: {id} moved to {}", text(&moved, "start_time")?);

    let cancelled = zimun.post("/api/v1/appointments/cancel", json!({"appointment_id": id}))?;
    println!("cancel: {id} is {}", text(&cancelled, "state")?);
    Ok(())
}

fn main() {
    if let Err(error) = book() {
        eprintln!("booking failed: {error}");
        process::exit(1);
    }
}
