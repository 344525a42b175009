"""What can be booked: opening hours, grids of starts, busy time, and the search for slots."""
