"""The parts of a tariff, each with the lines that it makes of a usage."""
