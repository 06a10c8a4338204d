"""Triton's HTTP/REST protocol: the same handlers as gRPC, in JSON and binary tensor data. Knows no socket."""
