"""Changes to a graph that leave its answers as they are, and spare the compiler or half precision some trouble."""
