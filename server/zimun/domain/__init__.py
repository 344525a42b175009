"""What is true: the rules of time and booking, as pure functions on plain values."""
