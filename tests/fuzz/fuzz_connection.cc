// Any script as the life of a connection: what a peer sends, how time passes, and how its calls are answered.
//
// A script is a byte of flags, then steps; tests/fuzz/seeds.py writes some that make sense.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/status.h"
#include "invariant.h"
#include "script.h"
#include "wire/connection.h"
#include "wire/framing.h"
#include "wire/limits.h"
#include "wire/memory_budget.h"

namespace core = npuserve::core;
namespace wire = npuserve::wire;
using npuserve::fuzz::require;
using npuserve::fuzz::Script;

namespace {

constexpr uint64_t kConnectionId = 7;
constexpr uint64_t kForeignId = 8;
constexpr int64_t kStartNs = 1000 * wire::kSecond;
constexpr size_t kFrameHeadBytes = 9;
constexpr int kCompressionLevel = 1;

// The flags.
constexpr unsigned kSendsPreface = 1;     // and empty SETTINGS, before the first step
constexpr unsigned kAnswersAtOnce = 2;    // every call is echoed as soon as it is half closed
constexpr unsigned kIsStrict = 4;         // every limit is on and small
constexpr unsigned kEndsWithoutWord = 8;  // the connection is destroyed, without receive_end()

wire::Limits limits_of(bool strict) {
  wire::Limits limits;
  limits.max_message_bytes = 128 << 10;
  limits.memory_budget_bytes = 192 << 10;
  limits.max_waiting_calls = 3;
  limits.max_unsent_bytes = 32 << 10;
  if (!strict) return limits;
  limits.max_header_list_bytes = 256;
  limits.max_concurrent_streams = 2;
  limits.max_resets_per_second = 3;
  limits.max_connection_idle_ns = 5 * wire::kSecond;
  limits.max_connection_age_ns = 600 * wire::kSecond;
  limits.max_connection_age_grace_ns = 30 * wire::kSecond;
  limits.keepalive_time_ns = 10 * wire::kSecond;
  limits.keepalive_permit_without_calls = true;
  return limits;
}

// --- What a peer can read: whole frames, of bounded length.

class Output {
 public:
  // Takes what there is, in one go of about so many bytes.
  void take(wire::Connection& connection, size_t about_bytes, int64_t now_ns) {
    const bool wanted = connection.wants_write();
    std::string bytes;
    connection.take_output(bytes, about_bytes, now_ns);
    require(!bytes.empty() || !wanted || !connection.wants_write(), "who wants to write does");
    size_t last_frame = 0;
    for (size_t at = 0; at < bytes.size();) {
      require(bytes.size() - at >= kFrameHeadBytes, "a frame's head is whole");
      last_frame = at;
      size_t length = 0;
      for (size_t i = 0; i < 3; ++i) length = length << 8U | static_cast<uint8_t>(bytes[at + i]);
      require(bytes.size() - at - kFrameHeadBytes >= length, "a frame is whole");
      at += kFrameHeadBytes + length;
    }
    require(last_frame <= about_bytes, "the last frame begins within the bound");
    total_ += bytes.size();
  }

  size_t total() const { return total_; }

 private:
  size_t total_ = 0;
};

// --- The shell: sees that events come in order, and answers calls as the script says.

class Shell {
 public:
  explicit Shell(uint8_t flags)
      : flags_(flags),
        limits_(limits_of((flags & kIsStrict) != 0)),
        budget_(limits_.memory_budget_bytes, limits_.max_waiting_calls),
        connection_(std::in_place, kConnectionId, limits_, budget_, kStartNs) {}

  void run(Script& script) {
    if ((flags_ & kSendsPreface) != 0) {
      constexpr std::string_view kPreface("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
      receive(bytes_of(kPreface));
    }
    while (!script.done() && !connection_->aborted() && !connection_->finished()) {
      step(script);
      take_events();
      require(budget_.used_bytes() <= limits_.memory_budget_bytes, "the budget holds");
    }
    end();
  }

 private:
  struct Call {
    bool half_closed = false;
    bool ended = false;     // the connection said so
    bool finished = false;  // the shell did
    bool has_untaken = false;
    std::optional<wire::Encoding> encoding;  // of the answers
    wire::Message message;                   // the last one
  };

  static std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span<const char>(text.data(), text.size()));
  }

  // --- Steps. Each reads what it needs of the script.

  void step(Script& script) {
    using Step = void (Shell::*)(Script&);
    static constexpr Step kSteps[] = {&Shell::receive_bytes, &Shell::receive_frame,   &Shell::receive_message,
                                      &Shell::wait,          &Shell::wait_until_wake, &Shell::answer,
                                      &Shell::take_output,   &Shell::set_writable,    &Shell::release_messages,
                                      &Shell::occupy_budget, &Shell::shut_down,       &Shell::receive_zeros,
                                      &Shell::receive_many};
    (this->*kSteps[script.byte() % std::size(kSteps)])(script);
  }

  // A length, and so many bytes.
  void receive_bytes(Script& script) { receive(script.take(script.number())); }

  // Type, flags and stream id, a byte each; a length, and the payload: a frame of that length.
  void receive_frame(Script& script) {
    std::array<uint8_t, 3> head{};
    for (uint8_t& byte : head) byte = script.byte();
    send_frame(head[0], head[1], head[2], script.take(script.number()));
  }

  // Stream id; 1: ends the stream, 2: compressed; a length, and a message: a DATA frame with its prefix.
  void receive_message(Script& script) {
    const uint8_t stream_id = script.byte();
    const uint8_t how = script.byte();
    const std::span<const std::byte> message = script.take(script.number());
    std::vector<std::byte> payload(wire::kPrefixBytes + message.size());
    wire::write_prefix(payload.data(), (how & 2U) != 0, message.size());
    std::copy(message.begin(), message.end(), payload.begin() + wire::kPrefixBytes);
    send_frame(0, how & 1U, stream_id, payload);
  }

  // Stream id; a length in KiB, as long as a frame may be: zeros, so that small scripts send large messages.
  void receive_zeros(Script& script) {
    const uint8_t stream_id = script.byte();
    const std::vector<std::byte> zeros(script.byte() % 17 * size_t{1024});
    send_frame(0, 0, stream_id, zeros);
  }

  // Type, flags and stream id; how many; a length, and the payload: equal frames, or calls one after another. A count
  // of 255 stands for more than what brings nothing may come in, or than timers are kept for; once a script, for it is
  // slow.
  void receive_many(Script& script) {
    constexpr uint8_t kHeaders = 1;
    const uint8_t type = script.byte();
    const uint8_t flags = script.byte();
    uint32_t stream_id = script.byte();
    size_t count = script.byte();
    const std::span<const std::byte> payload = script.take(script.number());
    if (count == 255 && payload.size() < 64 && !std::exchange(had_plenty_, true)) {
      count = type == kHeaders ? 300 : 10'500;
    } else {
      count %= 16;
    }
    for (size_t i = 0; i < count; ++i) {
      send_frame(type, flags, stream_id, payload);
      if (type == kHeaders) stream_id += 2;
    }
  }

  // 2^x ns, five hours at most.
  void wait(Script& script) { wait_until(now_ns_ + (int64_t{1} << script.byte() % 45)); }

  void wait_until_wake(Script&) {
    wait_until(std::clamp(connection_->next_wake_ns(), now_ns_, now_ns_ + 86'400 * wire::kSecond));
  }

  // Which call of those that are open; how.
  void answer(Script& script) {
    const uint8_t which = script.byte();
    const uint8_t how = script.byte();
    std::vector<int32_t> open;
    for (const auto& [stream_id, call] : calls_) {
      if (!call.ended && !call.finished) open.push_back(stream_id);
    }
    if (!open.empty()) answer(open[which % open.size()], how);
  }

  void take_output(Script& script) { output_.take(*connection_, 1 + script.number(), now_ns_); }

  void set_writable(Script& script) { connection_->set_writable(script.byte() % 2 == 0, now_ns_); }

  void release_messages(Script&) {
    for (auto& [stream_id, call] : calls_) {
      if (call.ended || call.finished) call.message = {};
    }
    grant();
  }

  // How many KiB of the budget somebody else has.
  void occupy_budget(Script& script) {
    foreign_ = {};
    budget_.forget(kForeignId, 1);
    static_cast<void>(budget_.reserve({kForeignId, 1, script.byte() * size_t{1024}}, foreign_));
    grant();
  }

  void shut_down(Script& script) {
    if (script.byte() % 2 == 0) return connection_->announce_shutdown();
    connection_->shut_down(now_ns_);
  }

  // --- What the steps are made of.

  void receive(std::span<const std::byte> bytes) {
    received_ += bytes.size();
    connection_->receive(bytes, now_ns_);
  }

  void send_frame(uint8_t type, uint8_t flags, uint32_t stream_id, std::span<const std::byte> payload) {
    const size_t length = payload.size();
    std::vector<std::byte> frame;
    for (const size_t byte : {length >> 16U, length >> 8U, length, size_t{type}, size_t{flags}, size_t{0}, size_t{0},
                              size_t{stream_id} >> 8U, size_t{stream_id}}) {
      frame.push_back(static_cast<std::byte>(byte));
    }
    frame.insert(frame.end(), payload.begin(), payload.end());
    receive(frame);
  }

  void wait_until(int64_t at_ns) {
    now_ns_ = at_ns;
    // What is done may make something else due, but not for ever.
    constexpr int kMostRounds = 4;
    for (int i = 0; i == 0 || (i < kMostRounds && connection_->next_wake_ns() <= now_ns_); ++i) {
      connection_->advance(now_ns_);
    }
    require(connection_->next_wake_ns() > now_ns_, "what is due is done");
  }

  void grant() {
    for (auto& [waiter, reservation] : budget_.grant_waiting()) {
      if (waiter.connection == kForeignId) {
        foreign_ = std::move(reservation);
      } else {
        connection_->grant(waiter.stream_id, std::move(reservation), now_ns_);
      }
    }
  }

  void answer(int32_t stream_id, uint8_t how) {
    Call& call = calls_[stream_id];
    switch (how % 8) {
      case 0:
        if (std::exchange(call.has_untaken, false)) connection_->message_taken(stream_id);
        return;
      case 1:
        return send(stream_id, call, call.message.bytes.bytes(), wire::Encoding::kIdentity);
      case 2:
        return send(stream_id, call, call.message.bytes.bytes(), wire::Encoding::kGzip);
      case 3: {
        static const std::vector<std::byte> much(100'000);
        return send(stream_id, call, much, wire::Encoding::kIdentity);
      }
      case 4:
        require(connection_->head(stream_id) != nullptr, "an open call has a head");
        require(connection_->unsent_bytes(stream_id) <= sent_, "what is unsent was sent");
        return;
      case 5:
        call.message = {};
        return grant();
      case 6:
        return finish(stream_id, call, {core::StatusCode::kNotFound, long_text(how)});
      default:
        return finish(stream_id, call, {});
    }
  }

  // Longer than a header may be, if `length` is large.
  static std::string long_text(uint8_t length) {
    std::string text = "100 % \xe2\x98\xba\n";
    text.append(length * size_t{64}, '\xff');
    return text;
  }

  void send(int32_t stream_id, Call& call, std::span<const std::byte> message, wire::Encoding encoding) {
    if (!call.encoding) call.encoding = encoding;
    wire::Buffer framed = wire::frame_message(message, *call.encoding, kCompressionLevel);
    sent_ += framed.size();
    connection_->send_message(stream_id, std::move(framed), *call.encoding);
  }

  void finish(int32_t stream_id, Call& call, const core::Status& status) {
    call.finished = true;
    wire::Metadata trailing = {{"x-text", "value"}, {"x-bytes-bin", {"\0\xff", 2}}};
    if (!status.ok()) trailing.insert(trailing.end(), 20, {"x-more", "value"});
    connection_->finish(stream_id, status, trailing);
  }

  // --- Events.

  void take_events() {
    while (std::optional<wire::Event> event = connection_->next_event()) take(std::move(*event));
  }

  void take(wire::Event event) {
    if (event.kind == wire::EventKind::kCallStarted) {
      require(calls_.emplace(event.stream_id, Call{}).second, "a call starts once");
      return;
    }
    const auto found = calls_.find(event.stream_id);
    require(found != calls_.end(), "a call starts before all else");
    Call& call = found->second;
    require(!call.ended, "a call ends once, and nothing follows");
    switch (event.kind) {
      case wire::EventKind::kMessageReceived:
        require(!call.half_closed, "no message follows the half close");
        require(event.message.bytes.size() <= limits_.max_message_bytes, "a message is within its limit");
        call.has_untaken = true;
        call.message = std::move(event.message);
        return;
      case wire::EventKind::kHalfClosed:
        require(!std::exchange(call.half_closed, true), "a call is half closed once");
        if ((flags_ & kAnswersAtOnce) != 0 && !call.finished) echo(event.stream_id, call);
        return;
      default:
        call.ended = true;
        call.message = {};
    }
  }

  void echo(int32_t stream_id, Call& call) {
    answer(stream_id, 0);
    answer(stream_id, 1);
    finish(stream_id, call, {});
  }

  // --- The end.

  void end() {
    drain();
    if ((flags_ & kEndsWithoutWord) == 0) {
      connection_->receive_end(now_ns_);
      take_events();
      require(connection_->open_calls() == 0, "no call outlives its connection");
      for (const auto& [stream_id, call] : calls_) require(call.ended || call.finished, "every call has an end");
    }
    connection_.reset();
    calls_.clear();
    foreign_ = {};
    budget_.forget(kForeignId, 1);
    require(budget_.used_bytes() == 0, "the budget has all of its bytes back");
    require(budget_.waiting() == 0, "nobody is left waiting");
  }

  // Takes all output; that it is bounded by what was received and answered shows that nothing is said without end.
  void drain() {
    constexpr size_t kEverBytes = 64 << 10;
    constexpr size_t kPerReceivedByte = 512;
    constexpr size_t kPerCall = 16 << 10;
    const size_t bound = kEverBytes + received_ * kPerReceivedByte + sent_ * 2 + calls_.size() * kPerCall;
    while (connection_->wants_write() && !connection_->aborted()) {
      output_.take(*connection_, 16 << 10, now_ns_);
      require(output_.total() <= bound, "the output is bounded by the input and the answers");
    }
  }

  const uint8_t flags_;
  const wire::Limits limits_;
  wire::MemoryBudget budget_;
  wire::Reservation foreign_;
  std::optional<wire::Connection> connection_;
  std::map<int32_t, Call> calls_;
  Output output_;
  int64_t now_ns_ = kStartNs;
  bool had_plenty_ = false;
  size_t received_ = 0;
  size_t sent_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Script script(std::as_bytes(std::span<const uint8_t>(data, size)));
  Shell shell(script.byte());
  shell.run(script);
  return 0;
}
