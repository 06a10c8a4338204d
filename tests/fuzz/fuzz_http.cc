// Any bytes as what an HTTP client sends: whole and cut, they must mean the same requests.
//
// An input is a byte of flags, a byte that chooses the cuts, then what is sent; tests/fuzz/seeds.py writes some that
// make sense.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "invariant.h"
#include "script.h"
#include "wire/http_connection.h"
#include "wire/http_infer_request.h"
#include "wire/http_limits.h"
#include "wire/infer_request.h"
#include "wire/memory_budget.h"

namespace wire = npuserve::wire;
using npuserve::fuzz::require;
using npuserve::fuzz::Script;

namespace {

constexpr int64_t kStartNs = 1000 * wire::kSecond;

// The flags.
constexpr unsigned kIsStrict = 1;    // every limit is small
constexpr unsigned kStreams = 2;     // answers are streams
constexpr unsigned kIsCrowded = 4;   // bodies wait for the budget
constexpr unsigned kWaitsAtEnd = 8;  // time passes until nothing is due any more
constexpr unsigned kShutsDown = 16;  // after the first request

wire::HttpLimits limits_of(unsigned flags) {
  wire::HttpLimits limits;
  limits.memory_budget_bytes = 256 << 10;
  limits.small_bodies_bytes = 0;
  limits.max_body_bytes = 128 << 10;
  if ((flags & kIsStrict) == 0) return limits;
  limits.max_request_line_bytes = 64;
  limits.max_head_bytes = 256;
  limits.max_header_fields = 6;
  limits.max_body_bytes = 100;
  limits.max_chunks = 3;
  limits.max_unsent_bytes = 100;
  return limits;
}

bool lies_within(std::span<const std::byte> part, std::span<const std::byte> whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// What a connection made of its bytes.
struct Meaning {
  std::vector<std::string> requests;
  bool is_over = false;

  bool operator==(const Meaning&) const = default;
};

class Shell {
 public:
  explicit Shell(unsigned flags)
      : flags_(flags),
        limits_(limits_of(flags)),
        budget_(limits_.memory_budget_bytes, 1, {}),
        connection_(std::in_place, 1, limits_, budget_, now_ns_) {}

  // Receives the bytes in pieces: of the sizes that `cuts` gives, or in one.
  Meaning run(std::span<const std::byte> bytes, std::mt19937* cuts) {
    while (!bytes.empty()) {
      const size_t most = cuts == nullptr ? bytes.size() : 1 + (*cuts)() % 24;
      const std::vector<std::byte> piece(bytes.begin(),
                                         bytes.begin() + static_cast<std::ptrdiff_t>(std::min(most, bytes.size())));
      if ((flags_ & kIsCrowded) != 0 && !foreign_) occupy();
      connection_->receive(piece, now_ns_);
      received_ += piece.size();
      bytes = bytes.subspan(piece.size());
      serve();
    }
    meaning_.is_over = connection_->finished();
    end();
    return std::move(meaning_);
  }

 private:
  void occupy() {
    foreign_.emplace();
    require(budget_.try_reserve(budget_.free_bytes(), *foreign_), "what is free can be had");
  }

  // Answers what there is, and takes the output, until neither brings about anything more.
  void serve() {
    while (true) {
      if (connection_->has_request()) {
        answer();
      } else if (connection_->wants_write()) {
        take();
      } else if (budget_.waiting() > 0) {
        grant();
      } else {
        return;
      }
    }
  }

  void grant() {
    foreign_.reset();
    for (auto& [waiter, room] : budget_.grant_waiting()) connection_->grant(std::move(room), now_ns_);
    require(budget_.waiting() == 0, "there is room for one body");
  }

  void answer() {
    const wire::HttpHead& head = connection_->head();
    const std::span<const std::byte> body = connection_->body().bytes();
    require(body.size() <= limits_.max_body_bytes, "a body is within its limit");
    require(head.fields.size() <= limits_.max_header_fields, "the fields are within their limit");
    require(!head.path.empty() || head.method == "CONNECT" || !head.method.empty(), "a request has a method");
    check_infer(head, body);
    std::string text(head.method);
    text.append(" ").append(head.path).append(" ");
    text.append(reinterpret_cast<const char*>(body.data()), body.size());
    meaning_.requests.push_back(text);
    if ((flags_ & kShutsDown) != 0) connection_->shut_down(now_ns_);
    sent_ += text.size() + 4096;
    if ((flags_ & kStreams) == 0) {
      wire::Buffer answered(body.size());
      answered.resize(body.size());
      std::ranges::copy(body, answered.data());
      return connection_->respond(200, {}, std::move(answered), now_ns_);
    }
    const std::string piece = text;
    connection_->start_stream(200, {});
    connection_->send(std::as_bytes(std::span(piece)));
    connection_->end_stream(now_ns_);
  }

  void check_infer(const wire::HttpHead& head, std::span<const std::byte> body) {
    if (!wire::read_infer(head, body, request_)) return;
    require(!request_.inputs.empty(), "an inference has inputs");
    require(request_.raw_input_contents.size() == request_.inputs.size(), "each input has its bytes");
    for (const auto& content : request_.raw_input_contents) require(lies_within(content, body), "an input is a view");
    for (const wire::InferInput& input : request_.inputs) {
      require(lies_within(std::as_bytes(std::span(input.name)), body), "a name is a view");
    }
  }

  void take() {
    std::string out;
    connection_->take_output(out, 16 << 10, now_ns_);
    require(!out.empty(), "what wants to be written is");
    taken_ += out.size();
    require(taken_ <= 4096 + received_ * 8 + sent_, "the output is bounded by the input and the answers");
  }

  void end() {
    if ((flags_ & kWaitsAtEnd) != 0) {
      for (int round = 0; round < 6 && connection_->next_wake_ns() != wire::kNever; ++round) {
        now_ns_ = std::max(now_ns_, connection_->next_wake_ns());
        connection_->advance(now_ns_);
        serve();
      }
      require(connection_->next_wake_ns() == wire::kNever, "time ends every connection that is silent");
    }
    connection_.reset();
    foreign_.reset();
    require(budget_.used_bytes() == 0, "the budget has all of its bytes back");
    require(budget_.waiting() == 0, "nobody is left waiting");
  }

  const unsigned flags_;
  const wire::HttpLimits limits_;
  int64_t now_ns_ = kStartNs;
  wire::MemoryBudget budget_;
  std::optional<wire::Reservation> foreign_;
  std::optional<wire::HttpConnection> connection_;
  wire::InferRequest request_;
  Meaning meaning_;
  size_t received_ = 0;
  size_t sent_ = 0;
  size_t taken_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Script script(std::as_bytes(std::span<const uint8_t>(data, size)));
  const unsigned flags = script.byte();
  std::mt19937 cuts(script.byte());
  const std::span<const std::byte> bytes = script.take(size);
  const Meaning whole = Shell(flags).run(bytes, nullptr);
  const Meaning cut = Shell(flags).run(bytes, &cuts);
  require(whole == cut, "bytes mean the same however they are cut");
  return 0;
}
