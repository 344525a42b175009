"""Bodies that the demo accepts, for tests that break one field of them."""

VALID_HOLD = {"service_id": "s_123", "appointment_time": "2026-01-30T10:00:00Z"}
