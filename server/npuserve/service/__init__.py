"""The RPC handlers, one file an RPC family. They know protobuf messages and no transport."""
