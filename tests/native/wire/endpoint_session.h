// An endpoint under test: clients on wires that lose nothing, a clock set by hand, and a sink that holds its requests.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client_session.h"
#include "core/sink.h"
#include "wire/endpoint.h"

namespace npuserve::wire {

inline constexpr std::string_view kInfer = "/inference.GRPCInferenceService/ModelInfer";

// A ModelInferRequest of one FP32 row of four, written by hand from the field numbers of proto/inference.proto.
std::string infer_request(std::string_view model, std::string_view id, std::string_view row);

// The fields 1 to 3 (model, version, id) and 6 (raw contents) of a ModelInferResponse.
std::map<int, std::string> response_fields(std::string_view message);

// The interface of a model "copy" whose output y is its input x: FP32 [-1, 4].
ModelInterface copy_interface();

// Keeps what is submitted until the test completes it.
class HeldSink final : public core::Sink {
 public:
  void submit(core::Request request) override;
  void submit_all(std::vector<core::Request> requests) override;
  bool cancel(uint64_t token) override;

  // Answers the oldest request with its own inputs, or with the failure.
  void complete(core::Status status = {});

  std::deque<core::Request> held;
  std::vector<uint64_t> cancelled;
  core::Timing timing;  // of the requests that it answers
  int wakes = 0;        // calls of submit_all
};

class EndpointSession {
 public:
  explicit EndpointSession(const Limits& limits = {}, int compression_level = 0);
  ~EndpointSession() { sink->held.clear(); }  // the endpoint waits for every request

  // Opens a connection; the reference stays good until `close`.
  struct Client {
    uint64_t id = 0;
    ClientSession session;
  };
  Client& connect(bool may_share = false);
  void close(Client& client);

  // Sends a whole unary call and carries bytes both ways. Returns its stream.
  int32_t call(Client& client, std::string_view path, std::string_view message, const std::vector<Field>& more = {});

  // Carries bytes both ways on all connections until all are silent.
  void exchange();
  void deliver();
  void advance(int64_t duration_ns);
  std::vector<std::string> handler_events();  // "started 1/1", "changed 1/1", "ended 1/1": connection/stream

  int64_t now_ns = 1'000 * kSecond;
  std::shared_ptr<HeldSink> sink = std::make_shared<HeldSink>();
  Endpoint endpoint;

 private:
  std::deque<Client> clients_;
};

}  // namespace npuserve::wire
