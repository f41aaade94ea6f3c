"""What is owed and not paid (specs/utility.md 21-25)."""
