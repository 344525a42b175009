"""What happened: reservations, the events about them, and the ledger after these events."""
