"""The generated protobuf classes, in a descriptor pool of their own (see proto/generate.py).

The default pool stays free for Triton's client package, which declares the same names.
"""

from google.protobuf.descriptor_pool import DescriptorPool

POOL = DescriptorPool()
