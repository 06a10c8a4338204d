"""The command line: reads arguments and environment, composes the rooms, runs them."""
