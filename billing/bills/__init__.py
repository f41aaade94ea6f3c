"""What is asked for, until when (specs/utility.md 18-20)."""
