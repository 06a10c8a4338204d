// HTTP/1.1: one request at a time, prepared whole with its head. Answers have a Content-Length, as Triton's do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "load/channel.h"

namespace npuserve::load {

class HttpChannel final : public Channel {
 public:
  // The sink must outlive it.
  explicit HttpChannel(ChannelSink& sink) : sink_(sink) {}

  bool has_room() const override { return !is_waiting_ && !is_closing_; }
  void begin(uint32_t ticket, std::string_view request) override;
  bool receive(std::string_view bytes) override;
  bool send(std::string& out, size_t until_bytes) override;
  bool is_ready() const override { return true; }
  bool is_closing() const override { return is_closing_; }
  std::string failure() const override { return failure_; }

 private:
  bool read_head(std::string_view head);
  bool read_field(std::string_view line);
  bool fail(std::string why);
  void answer();

  ChannelSink& sink_;
  uint32_t ticket_ = 0;
  bool is_waiting_ = false;  // for the answer to the ticket
  std::string_view unsent_;
  std::string input_;
  size_t body_begins_ = 0;  // 0: the head has not come whole
  size_t body_bytes_ = 0;
  int status_ = 0;
  bool is_closing_ = false;
  std::string failure_;
};

}  // namespace npuserve::load
