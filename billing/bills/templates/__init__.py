"""Templates of the typesetter."""
