// One connection of the load: its socket, its protocol, what is still to write.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "load/channel.h"
#include "load/socket.h"

namespace npuserve::load {

struct Link {
  std::unique_ptr<Socket> socket;    // none: closed
  std::unique_ptr<Channel> channel;  // none: closed
  std::string out;
  size_t written = 0;  // of `out`
  bool is_connected = false;
  bool waits_to_write = false;
  bool is_listed = false;  // among those that may have room
  bool is_dirty = false;   // among those that may have bytes to send
  uint32_t in_flight = 0;
  uint32_t most_in_flight = 0;
  int64_t reopen_ns = 0;  // when closed: not before
};

}  // namespace npuserve::load
