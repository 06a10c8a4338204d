"""What brings a model to NPUs: so far, the gears that it should be compiled for."""
