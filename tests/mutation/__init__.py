"""Mutation tests: would the tests notice a fault? docs/testing.md has the commands."""
