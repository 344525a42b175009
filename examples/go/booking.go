// Command booking books an appointment at Zimun, moves it and calls it off again.
//
// It reads ZIMUN_BASE_URL, ZIMUN_CLIENT_ID and ZIMUN_CLIENT_SECRET from the environment; what is
// not set there comes from the file that ZIMUN_DEMO_ENV names, or that `make run` has written.
package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const attempts = 5

type service struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type slot struct {
	StartTime string `json:"start_time"`
}

// reservation is a hold, or the appointment that it becomes.
type reservation struct {
	HoldID        string `json:"hold_id"`
	AppointmentID string `json:"appointment_id"`
	StartTime     string `json:"start_time"`
	ExpiresAt     string `json:"expires_at"`
	ContactName   string `json:"contact_name"`
	State         string `json:"state"`
}

// refused is Zimun's error answer; the token endpoint has its own shape (RFC 6749, section 5.2).
type refused struct {
	Message string `json:"message"`
	Details []struct {
		Reason string `json:"reason"` // of google.rpc.ErrorInfo
		Slots  []slot `json:"slots"`  // of zimun.v1.SlotAlternatives
	} `json:"details"`
	OAuthError   string `json:"error"`
	OAuthMessage string `json:"error_description"`

	status       string
	reason       string
	alternatives []slot
}

func readRefusal(answer *http.Response) error {
	refusal := &refused{status: answer.Status}
	if err := json.NewDecoder(answer.Body).Decode(refusal); err != nil {
		return fmt.Errorf("HTTP %s", answer.Status)
	}
	refusal.reason = refusal.OAuthError
	for _, detail := range refusal.Details {
		refusal.reason += detail.Reason
		refusal.alternatives = append(refusal.alternatives, detail.Slots...)
	}
	return refusal
}

func (r *refused) Error() string {
	return fmt.Sprintf("%s: %s (HTTP %s)", r.reason, r.Message+r.OAuthMessage, r.status)
}

// api is the JSON API; authorization is a bearer token once connected.
type api struct {
	baseURL, authorization string
	client                 http.Client
}

func connect(baseURL, clientID, clientSecret string) (*api, error) {
	basic := base64.StdEncoding.EncodeToString([]byte(clientID + ":" + clientSecret))
	a := &api{baseURL, "Basic " + basic, http.Client{Timeout: 10 * time.Second}}
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	var token struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := a.send("POST", "/oauth/token", form, "grant_type=client_credentials", &token); err != nil {
		return nil, err
	}
	a.authorization = "Bearer " + token.AccessToken
	fmt.Printf("token: good for %d s\n", token.ExpiresIn)
	return a, nil
}

// send sends a request, and again while the server asks to come back later.
func (a *api) send(method, path string, header http.Header, body string, into any) error {
	for attempt := 1; ; attempt++ {
		request, err := http.NewRequest(method, a.baseURL+path, strings.NewReader(body))
		if err != nil {
			return err
		}
		request.Header = header
		request.Header.Set("Authorization", a.authorization)
		answer, err := a.client.Do(request)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		busy := answer.StatusCode == http.StatusTooManyRequests ||
			answer.StatusCode == http.StatusServiceUnavailable
		switch {
		case answer.StatusCode == http.StatusOK:
			return json.NewDecoder(answer.Body).Decode(into)
		case !busy || attempt == attempts:
			return readRefusal(answer)
		}
		seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
		if err != nil {
			seconds = 1
		}
		time.Sleep(time.Duration(seconds) * time.Second)
	}
}

func (a *api) get(path string, into any) error {
	return a.send("GET", path, http.Header{}, "", into)
}

// post sends one key with all attempts: however often it is sent, it happens once.
func (a *api) post(path string, body map[string]string) (made reservation, err error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return made, err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	header.Set("Idempotency-Key", newUUID())
	err = a.send("POST", path, header, string(encoded), &made)
	return made, err
}

func (a *api) services() ([]service, error) {
	var found struct {
		Items []service `json:"items"`
	}
	err := a.get("/api/v1/services?page_size=50", &found)
	return found.Items, err
}

func (a *api) openSlots(serviceID string) ([]slot, error) {
	var found struct {
		Slots []slot `json:"slots"`
	}
	err := a.get("/api/v1/availability?days_ahead=7&service_id="+serviceID, &found)
	return found.Slots, err
}

// hold holds the slot or, where somebody was faster, the nearest one still open.
func (a *api) hold(serviceID, start string) (reservation, error) {
	for attempt := 1; ; attempt++ {
		held, err := a.post("/api/v1/appointments/hold",
			map[string]string{"service_id": serviceID, "appointment_time": start})
		var refusal *refused
		taken := errors.As(err, &refusal) && refusal.reason == "SLOT_UNAVAILABLE"
		if !taken || len(refusal.alternatives) == 0 || attempt == attempts {
			return held, err
		}
		start = refusal.alternatives[0].StartTime
		fmt.Printf("hold: somebody was faster, trying %s\n", start)
	}
}

// newUUID returns a random UUID (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails, see its documentation
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// demoEnv reads the demo.env that is named, or the next one upwards; none is an empty one.
func demoEnv() string {
	if named := os.Getenv("ZIMUN_DEMO_ENV"); named != "" {
		text, _ := os.ReadFile(named)
		return string(text)
	}
	folder, _ := os.Getwd()
	for {
		text, err := os.ReadFile(filepath.Join(folder, ".zimun", "demo.env"))
		if err == nil || folder == filepath.Dir(folder) {
			return string(text)
		}
		folder = filepath.Dir(folder)
	}
}

func settings() (map[string]string, error) {
	found := map[string]string{}
	for _, line := range append(strings.Split(demoEnv(), "\n"), os.Environ()...) {
		if name, value, ok := strings.Cut(line, "="); ok {
			found[name] = value
		}
	}
	for _, name := range []string{"ZIMUN_BASE_URL", "ZIMUN_CLIENT_ID", "ZIMUN_CLIENT_SECRET"} {
		if found[name] == "" {
			return nil, fmt.Errorf("%s is not set, and there is no demo.env; see `make run`", name)
		}
	}
	return found, nil
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("booking failed: ")
	found := must(settings())
	zimun := must(connect(found["ZIMUN_BASE_URL"], found["ZIMUN_CLIENT_ID"], found["ZIMUN_CLIENT_SECRET"]))

	services := must(zimun.services())
	at := slices.IndexFunc(services, func(one service) bool { return one.ID == "s_123" })
	if at < 0 {
		log.Fatal("there is no service s_123")
	}
	fmt.Printf("services: %d, of which s_123 is %s\n", len(services), services[at].Name)

	slots := must(zimun.openSlots("s_123"))
	if len(slots) == 0 {
		log.Fatal("no slot is open in the next 7 days")
	}
	fmt.Printf("availability: %d open slots, the first at %s\n", len(slots), slots[0].StartTime)

	hold := must(zimun.hold("s_123", slots[0].StartTime))
	fmt.Printf("hold: %s keeps %s until %s\n", hold.HoldID, hold.StartTime, hold.ExpiresAt)

	appointment := must(zimun.post("/api/v1/appointments/confirm", map[string]string{
		"hold_id": hold.HoldID, "contact_name": "Dana Lee", "contact_email": "dana@example.com",
	}))
	id, start := appointment.AppointmentID, appointment.StartTime
	fmt.Printf("confirm: %s at %s for %s\n", id, start, appointment.ContactName)

	slots = must(zimun.openSlots("s_123"))
	other := slices.IndexFunc(slots, func(one slot) bool { return one.StartTime != start })
	if other < 0 {
		log.Fatal("no other slot is open in the next 7 days")
	}
	moved := must(zimun.post("/api/v1/appointments/reschedule",
		map[string]string{"appointment_id": id, "start_time": slots[other].StartTime}))
	fmt.Printf("reschedule: %s moved to %s\n", id, moved.StartTime)

	cancelled := must(zimun.post("/api/v1/appointments/cancel", map[string]string{"appointment_id": id}))
	fmt.Printf("cancel: %s is %s\n", id, cancelled.State)
}

// must returns what a step answered; where it failed, the program ends and says why.
func must[T any](answer T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return answer
}
