"""Front ends that carry the handlers over a wire, and the life of a server: listen, drain, stop."""
