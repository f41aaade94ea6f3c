"""The parts of version 0002, one module for each subject."""
