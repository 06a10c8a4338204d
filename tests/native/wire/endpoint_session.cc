#include "endpoint_session.h"

#include <algorithm>
#include <span>

namespace npuserve::wire {
namespace {

// A length-delimited field of fewer than 128 bytes' key and length.
std::string field(int number, std::string_view value) {
  std::string text{static_cast<char>(number << 3 | 2)};
  size_t length = value.size();
  for (; length >= 128; length >>= 7) text.push_back(static_cast<char>((length & 127) | 128));
  text.push_back(static_cast<char>(length));
  return text.append(value);
}

}  // namespace

std::string infer_request(std::string_view model, std::string_view id, std::string_view row) {
  const std::string shape{1, 4};
  return field(1, model) + field(3, id) + field(5, field(1, "x") + field(2, "FP32") + field(3, shape)) + field(7, row);
}

std::map<int, std::string> response_fields(std::string_view message) {
  std::map<int, std::string> fields;
  for (size_t at = 0; at < message.size();) {
    const int number = static_cast<unsigned char>(message[at++]) >> 3;
    size_t length = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(message[at++]);
      length |= static_cast<size_t>(byte & 127) << shift;
      if (byte < 128) break;
    }
    fields[number] = message.substr(at, length);
    at += length;
  }
  return fields;
}

ModelInterface copy_interface() {
  const auto tensor = [](std::string name) {
    return DeclaredTensor{.name = std::move(name), .dtype = core::Dtype::kFp32, .dims = {4}, .model_dims = {4}};
  };
  return {.name = "copy",
          .version = "3",
          .max_batch_size = 8,
          .inputs = {tensor("x")},
          .input_positions = {0},
          .outputs = {tensor("y")}};
}

void HeldSink::submit(core::Request request) { held.push_back(std::move(request)); }

void HeldSink::submit_all(std::vector<core::Request> requests) {
  ++wakes;
  for (core::Request& request : requests) held.push_back(std::move(request));
}

bool HeldSink::cancel(uint64_t token) {
  const auto found = std::ranges::find(held, token, &core::Request::token);
  if (found == held.end()) return false;
  cancelled.push_back(token);
  found->completion->complete({core::StatusCode::kCancelled, ""}, {});
  held.erase(found);
  return true;
}

void HeldSink::complete(core::Status status) {
  core::Request request = std::move(held.front());
  held.pop_front();
  if (status.ok()) {
    const core::TensorView& input = request.inputs[0];
    const core::OutputView output(input.data, 4, input.shape, input.shape);
    status = request.completion->receive({&output, 1});
  }
  request.completion->complete(std::move(status), timing);
}

EndpointSession::EndpointSession(const Limits& limits, int compression_level)
    : endpoint(limits, std::string(kInfer), compression_level) {
  auto target = std::make_shared<InferTarget>(InferTarget{copy_interface(), sink});
  endpoint.set_routes({{"copy", "", target}, {"copy", "3", target}});
}

EndpointSession::Client& EndpointSession::connect(bool may_share) {
  Client& client = clients_.emplace_back();
  client.id = endpoint.open(now_ns, may_share);
  exchange();
  return client;
}

void EndpointSession::close(Client& client) {
  endpoint.close(client.id, now_ns);
  client.id = 0;
}

int32_t EndpointSession::call(Client& client, std::string_view path, std::string_view message,
                              const std::vector<Field>& more) {
  const int32_t stream_id = client.session.open(path, more);
  client.session.send(stream_id, framed(message), true);
  exchange();
  return stream_id;
}

void EndpointSession::exchange() {
  bool moved = true;
  while (moved) {
    moved = false;
    for (Client& client : clients_) {
      const std::string bytes = client.session.take();
      if (!bytes.empty()) endpoint.receive(client.id, std::as_bytes(std::span(bytes)), now_ns);
      endpoint.grant_waiting(now_ns);
      endpoint.submit_gathered();
      std::string answers;
      endpoint.take_output(client.id, answers, SIZE_MAX, now_ns);
      if (!answers.empty()) client.session.receive(answers);
      moved |= !bytes.empty() || !answers.empty();
    }
  }
}

void EndpointSession::deliver() {
  endpoint.deliver(now_ns);
  exchange();
}

void EndpointSession::advance(int64_t duration_ns) {
  now_ns += duration_ns;
  endpoint.advance(now_ns);
  exchange();
}

std::vector<std::string> EndpointSession::handler_events() {
  std::vector<std::string> texts;
  HandlerEvent event;
  while (endpoint.next_handler_event(event)) {
    const char* kind = event.kind == HandlerEvent::Kind::kStarted   ? "started "
                       : event.kind == HandlerEvent::Kind::kChanged ? "changed "
                                                                    : "ended ";
    texts.push_back(kind + std::to_string(connection_of(event.token)) + "/" + std::to_string(stream_of(event.token)));
  }
  return texts;
}

}  // namespace npuserve::wire
