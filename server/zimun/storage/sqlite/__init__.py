"""SQLite: connections, ledgers, the file itself (lock, check, backup, restore)."""
