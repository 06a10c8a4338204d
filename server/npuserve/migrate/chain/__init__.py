"""The migration as stages: what each finds, which gate it must pass, where its artifacts lie."""
