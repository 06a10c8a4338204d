"""The handlers of calls, one file an RPC family; HTTP's are in `rest`. They know messages and no transport."""
