"""What runs a model: one executor interface, and the executors behind it."""
