"""Durable work: jobs that survive whoever carries them out."""
