"""The ways out: `port` what each is · `setup` how they are set up · one module for each adapter."""
