// All that a connection knows of one call, and the pool that calls come from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "wire/buffer.h"
#include "wire/call_state.h"
#include "wire/compression.h"
#include "wire/message_reader.h"
#include "wire/outgoing.h"
#include "wire/request_head.h"

namespace npuserve::wire {

struct Call {
  int32_t stream_id = 0;
  size_t position = 0;  // among the open calls
  ClientSide client = ClientSide::kHead;
  ServerSide server = ServerSide::kSilent;
  bool is_told = false;  // the shell has its kCallStarted, and nothing that ends it yet

  // What comes.
  RequestHead request;
  MessageReader reader;
  std::vector<std::byte> held;  // came while a message awaits its room; at most the stream's window
  bool end_held = false;        // so did the END_STREAM
  size_t untaken_messages = 0;  // events of which the reader has said nothing yet, and their bytes on the wire
  size_t untaken_bytes = 0;
  int64_t grown_ns = 0;            // when the message that has begun last grew by a window's worth, or began
  size_t grown_missing_bytes = 0;  // what was missing of it then; 0: it has not begun
  bool watches_growth = false;     // a timer for it is set

  // What goes.
  Outgoing outgoing;
  Encoding response_encoding = Encoding::kIdentity;
  int status_code = 0;
  std::string status_text;                                    // percent-encoded
  std::vector<std::pair<std::string, std::string>> trailing;  // as on the wire
  int64_t sent_ns = 0;                                        // when DATA last left, or was first queued
  bool watches_sent = false;                                  // a timer for it is set
  bool has_trailers = false;                                  // they are submitted
};

// The open calls of a connection. Closed ones are kept for the next, with what they have allocated, up to a few.
class CallPool {
 public:
  Call& open(int32_t stream_id);
  void close(Call& call);

  size_t size() const { return open_.size(); }
  Call& at(size_t position) { return *open_[position]; }

 private:
  std::vector<std::unique_ptr<Call>> open_;
  std::vector<std::unique_ptr<Call>> spare_;
};

}  // namespace npuserve::wire
