"""Authentication: token endpoint, signing keys and JWKS, verification of tokens, API clients.

Tokens always live in real time, never on the booking clock: a sandbox's clock
may be moved, and a token must not expire or revive with it.
"""
