"""`python -m zimun` is `zimun`."""

from zimun.cli import main

main()
