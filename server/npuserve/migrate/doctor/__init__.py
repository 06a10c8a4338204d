"""What this machine lacks to serve on NPUs, to compile or to migrate, and what to do about it."""
