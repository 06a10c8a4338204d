"""Models written for Triton's Python backend: each instance a process of its own, tensors through shared memory."""
