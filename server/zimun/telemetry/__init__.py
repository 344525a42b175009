"""Telemetry of a running server: metrics, log lines, traces."""
