// gRPC's ModelStreamInfer: calls that stay open, one request in each at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "load/channel.h"
#include "load/h2_client.h"

namespace npuserve::load {

class StreamChannel final : public Channel, private H2Sink {
 public:
  // The sink must outlive it. Calls are opened as they are needed, up to `max_calls`.
  StreamChannel(ChannelSink& sink, Fields fields, uint32_t max_calls)
      : sink_(sink), max_calls_(max_calls), client_(*this, std::move(fields)) {}

  bool has_room() const override;
  void begin(uint32_t ticket, std::string_view request) override;
  bool receive(std::string_view bytes) override { return client_.receive(bytes); }
  bool send(std::string& out, size_t until_bytes) override { return client_.send(out, until_bytes); }
  bool is_ready() const override { return client_.has_settings(); }
  bool is_closing() const override { return !client_.takes_calls(); }
  std::string failure() const override { return client_.failure(); }

 private:
  struct Call : H2Call {
    uint32_t ticket = 0;
    bool is_waiting = false;  // for the answer to the ticket
    bool is_open = false;
  };

  void on_data(H2Call& call) override;
  void on_closed(H2Call& call, uint32_t code) override;
  void answer(Call& call, std::string_view message);

  ChannelSink& sink_;
  const uint32_t max_calls_;
  std::vector<std::unique_ptr<Call>> calls_;
  std::vector<Call*> idle_;
  H2Client client_;
};

}  // namespace npuserve::load
