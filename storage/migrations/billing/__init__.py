"""The office's tables, a module for each subject; used by one migration, and fixed with it."""
