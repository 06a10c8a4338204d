"""Vocabulary that every room shares: status, errors, dtypes, tensors, signatures. No I/O."""
