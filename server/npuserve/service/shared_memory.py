"""The shared memory calls: system regions, and CUDA's as a server without NVIDIA devices answers them."""

from npuserve._proto import inference_pb2 as pb
from npuserve.core.errors import ServeError, invalid
from npuserve.core.status import StatusCode
from npuserve.service.call import Call
from npuserve.service.regions import SharedMemoryRegions


class SharedMemoryService:
    """Answers for the regions of one server."""

    def __init__(self, regions: SharedMemoryRegions) -> None:
        self._regions = regions

    async def system_status(
        self, request: pb.SystemSharedMemoryStatusRequest, call: Call
    ) -> pb.SystemSharedMemoryStatusResponse:
        """Describe one region or all. Raises ServeError (NOT_FOUND)."""
        response = pb.SystemSharedMemoryStatusResponse()
        for region in self._regions.status(request.name):
            response.regions[region.name].CopyFrom(
                pb.SystemSharedMemoryStatusResponse.RegionStatus(
                    name=region.name, key=region.key, offset=region.offset, byte_size=region.byte_size
                )
            )
        return response

    async def system_register(
        self, request: pb.SystemSharedMemoryRegisterRequest, call: Call
    ) -> pb.SystemSharedMemoryRegisterResponse:
        """Register a region. Raises ServeError as SharedMemoryRegions."""
        self._regions.check_peer(call.peer)
        self._regions.register(request.name, request.key, request.offset, request.byte_size)
        return pb.SystemSharedMemoryRegisterResponse()

    async def system_unregister(
        self, request: pb.SystemSharedMemoryUnregisterRequest, call: Call
    ) -> pb.SystemSharedMemoryUnregisterResponse:
        """Forget one region or all. Raises ServeError (UNIMPLEMENTED)."""
        self._regions.check_peer(call.peer)
        self._regions.unregister(request.name)
        return pb.SystemSharedMemoryUnregisterResponse()

    async def cuda_status(
        self, request: pb.CudaSharedMemoryStatusRequest, call: Call
    ) -> pb.CudaSharedMemoryStatusResponse:
        """Return no regions. Raises ServeError (NOT_FOUND) if one is asked for."""
        if request.name:
            raise ServeError(StatusCode.NOT_FOUND, f"Unable to find cuda shared memory region: '{request.name}'")
        return pb.CudaSharedMemoryStatusResponse()

    async def cuda_register(
        self, request: pb.CudaSharedMemoryRegisterRequest, call: Call
    ) -> pb.CudaSharedMemoryRegisterResponse:
        """Refuse. Raises ServeError (INVALID_ARGUMENT; UNIMPLEMENTED)."""
        self._regions.check_peer(call.peer)
        raise invalid(f"failed to register CUDA shared memory region: '{request.name}', GPUs not supported")

    async def cuda_unregister(
        self, request: pb.CudaSharedMemoryUnregisterRequest, call: Call
    ) -> pb.CudaSharedMemoryUnregisterResponse:
        """Do nothing: there are none. Raises ServeError (UNIMPLEMENTED)."""
        self._regions.check_peer(call.peer)
        return pb.CudaSharedMemoryUnregisterResponse()
