"""Scripts for those who build meterhouse; never installed with it."""
