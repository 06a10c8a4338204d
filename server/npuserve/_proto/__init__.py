"""The generated protobuf classes, in a descriptor pool of their own (see proto/generate.py)."""
