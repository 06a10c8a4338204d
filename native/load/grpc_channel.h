// gRPC's ModelInfer: a call a request, as many at once as the server's settings let in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "load/channel.h"
#include "load/h2_client.h"

namespace npuserve::load {

class GrpcChannel final : public Channel, private H2Sink {
 public:
  // The sink must outlive it. Requests are messages with gRPC's prefix.
  GrpcChannel(ChannelSink& sink, Fields fields) : sink_(sink), client_(*this, std::move(fields)) {}

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
  };

  void on_data(H2Call& /*call*/) override {}
  void on_closed(H2Call& call, uint32_t code) override;

  ChannelSink& sink_;
  std::vector<std::unique_ptr<Call>> calls_;  // all that were ever made
  std::vector<Call*> idle_;
  H2Client client_;
};

}  // namespace npuserve::load
