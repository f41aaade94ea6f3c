"""Messages to people (specs/utility.md 16, 20)."""
