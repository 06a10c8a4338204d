// The devices: their contexts, streams and events, and what each may have at most.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "acl/abi.h"
#include "emulator/context.h"
#include "emulator/handles.h"
#include "emulator/stream.h"

namespace emulator {

// Refuses an id outside the visible devices (107001).
void require_device(std::int32_t device);

// Streams that a device can still make, its contexts' default streams counted.
std::uint32_t available_streams(int device);

// The live contexts, and the live streams with the contexts' default streams among them.
HandleTable<Context>& contexts();
HandleTable<Stream>& streams();

// Both use up one of the device's streams (207008).
std::shared_ptr<Context> make_context(std::int32_t device, bool primary);
aclrtStream make_stream(Context& context);

// Ends a context with its streams, waiting for their work or dropping it.
void end_context(const std::shared_ptr<Context>& context, bool drop);

// The default context of a device: counts one more user of it, made for the first. Sets it as the thread's current one.
void use_device(std::int32_t device);

// One user less, or none at all with `force`; the last ends the default context. Over-reset is refused (507007).
void leave_device(std::int32_t device, bool force);

// Whether the device's default context exists.
bool in_use(std::int32_t device);

// Every stream of the device, default streams included.
std::vector<std::shared_ptr<Stream>> streams_of(int device);

// Waits for all of a device's streams, then refuses with the oldest failure of the first stream that has one.
void synchronize_device(int device, Timeout timeout);

// Ends everything, dropping work. At aclFinalize and at the program's exit.
void end_all_devices();

}  // namespace emulator
