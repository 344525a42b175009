"""Where it is kept: tables, queries and transactions on SQLAlchemy Core."""
