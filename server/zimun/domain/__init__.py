"""The rules of time and booking: pure functions of plain values."""
