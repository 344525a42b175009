"""What several suites share; nothing here is a test. `bench` may import it, never the reverse."""
