"""Nothing is sold twice: recorded load, faults from a seeded plan, and an independent judge."""
