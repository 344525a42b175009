"""PostgreSQL: connections, ledgers, the statement of a group, errors by SQLSTATE."""
