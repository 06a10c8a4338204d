#include "wire/http_connection.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include "wire/instant.h"

namespace npuserve::wire {
namespace {

constexpr size_t kLeastChunkedBytes = 4096;
constexpr size_t kGrowthBytes = size_t{64} * 1024;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kLastChunk = "0\r\n\r\n";

// The size line of a chunk.
std::string chunk_head(size_t bytes) {
  std::array<char, 18> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + 16, bytes, 16);
  return std::string(text.data(), end).append("\r\n");
}

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

Buffer buffer_of(std::string_view text) {
  Buffer buffer(text.size());
  buffer.resize(text.size());
  if (!text.empty()) std::memcpy(buffer.data(), text.data(), text.size());
  return buffer;
}

}  // namespace

HttpConnection::HttpConnection(uint64_t id, const HttpLimits& limits, MemoryBudget& budget, int64_t now_ns)
    : id_(id), limits_(limits), budget_(budget), now_ns_(now_ns), since_ns_(now_ns) {}

// What waits in the budget's queue must not outlive its connection.
HttpConnection::~HttpConnection() {
  if (phase_ == Phase::kRoom) budget_.forget(id_, 0);
}

// --- Bytes in.

void HttpConnection::receive(std::span<const std::byte> bytes, int64_t now_ns) {
  now_ns_ = now_ns;
  if (held_.empty()) read(bytes);
  if (bytes.empty()) return;
  held_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  held_room_ = Reservation();
  held_room_ = budget_.charge(held_.capacity());
}

// Reads what was held while the last request was being answered.
void HttpConnection::go_on() {
  if (held_.empty()) return;
  std::span<const std::byte> rest = bytes_of(std::string_view(held_).substr(held_at_));
  read(rest);
  held_at_ = held_.size() - rest.size();
  if (rest.empty()) {
    held_ = std::string();
    held_at_ = 0;
    held_room_ = Reservation();
  } else if (held_at_ > held_.size() / 2) {
    held_.erase(0, held_at_);
    held_at_ = 0;
  }
}

// Reads from the front, as far as the next request that is to be answered.
void HttpConnection::read(std::span<const std::byte>& bytes) {
  while (!bytes.empty()) {
    switch (phase_) {
      case Phase::kIdle:
        if (outgoing_.bytes() > limits_.max_unsent_bytes) return;
        phase_ = Phase::kHead;
        since_ns_ = now_ns_;
        head_text_.clear();
        break;
      case Phase::kHead:
        read_head(bytes);
        break;
      case Phase::kBody:
        read_body(bytes);
        break;
      case Phase::kOver:
        bytes = {};
        break;
      case Phase::kRoom:
      case Phase::kRequest:
      case Phase::kStream:
        return;
    }
  }
}

void HttpConnection::read_head(std::span<const std::byte>& bytes) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  const size_t known = head_text_.size();
  const size_t part = std::min(bytes.size(), limits_.max_head_bytes + kEnd.size() - known);
  head_text_.append(reinterpret_cast<const char*>(bytes.data()), part);
  const size_t end = head_text_.find(kEnd, known < kEnd.size() ? 0 : known - kEnd.size() + 1);
  if (end == std::string::npos) {
    bytes = bytes.subspan(part);
    if (const auto refusal = check_begun_head(head_text_, known, limits_)) refuse(*refusal);
    return;
  }
  head_text_.resize(end + kEnd.size());
  bytes = bytes.subspan(head_text_.size() - known);
  if (head_text_.size() > limits_.max_head_bytes) return refuse({431, "the request head is too large"});
  if (const auto refusal = parse_head(head_text_, limits_, head_)) return refuse(*refusal);
  begin_body(!bytes.empty());
}

// has_more: whether the body, if there is one, has begun to come.
void HttpConnection::begin_body(bool has_more) {
  body_ = Message();
  body_bytes_ = head_.content_length.value_or(0);
  if (!head_.has_body()) {
    phase_ = Phase::kRequest;
    return;
  }
  if (body_bytes_ > limits_.max_body_bytes) return refuse({413, "the request body is too large"});
  const size_t room = (head_.is_chunked ? kLeastChunkedBytes : body_bytes_) + kMessageOverheadBytes;
  if (room > budget_.limit_bytes()) {
    return refuse({413, "the request body is too large"});
  }
  switch (budget_.reserve({id_, 0, room}, body_.reservation)) {
    case MemoryBudget::Answer::kGranted:
      return start_body(has_more);
    case MemoryBudget::Answer::kWaiting:
      phase_ = Phase::kRoom;
      return;
    case MemoryBudget::Answer::kRefused:
      return refuse({503, "too many requests wait for memory"});
  }
}

void HttpConnection::start_body(bool has_more) {
  body_.bytes = Buffer(head_.is_chunked ? kLeastChunkedBytes : body_bytes_);
  chunks_.reset();
  if (head_.expects_continue && !has_more) push(kContinue);
  phase_ = Phase::kBody;
  since_ns_ = now_ns_;
  grown_bytes_ = 0;
}

void HttpConnection::grant(Reservation room, int64_t now_ns) {
  if (phase_ != Phase::kRoom) return;
  now_ns_ = now_ns;
  body_.reservation = std::move(room);
  start_body(!held_.empty());
  go_on();
}

void HttpConnection::read_body(std::span<const std::byte>& bytes) {
  if (head_.is_chunked) {
    read_chunks(bytes);
  } else {
    Buffer& body = body_.bytes;
    const size_t size = std::min(bytes.size(), body_bytes_ - body.size());
    std::memcpy(body.data() + body.size(), bytes.data(), size);
    body.resize(body.size() + size);
    bytes = bytes.subspan(size);
    if (body.size() == body_bytes_) phase_ = Phase::kRequest;
  }
  note_growth();
}

void HttpConnection::read_chunks(std::span<const std::byte>& bytes) {
  while (true) {
    switch (chunks_.read(bytes, limits_)) {
      case HttpChunks::Stop::kNoBytes:
        return;
      case HttpChunks::Stop::kContent:
        if (!keep(chunks_.content())) return;
        break;
      case HttpChunks::Stop::kEnd:
        phase_ = Phase::kRequest;
        return;
      case HttpChunks::Stop::kRefused:
        return refuse(chunks_.refusal());
    }
  }
}

// Appends to a body of unknown length. False if the request was refused.
bool HttpConnection::keep(std::span<const std::byte> content) {
  Buffer& body = body_.bytes;
  const size_t wanted = body.size() + content.size();
  if (wanted > limits_.max_body_bytes) {
    refuse({413, "the request body is too large"});
    return false;
  }
  if (wanted > body.capacity()) {
    Buffer larger(std::max(wanted, std::min(2 * body.capacity(), limits_.max_body_bytes)));
    Reservation room;
    if (!budget_.try_reserve(larger.capacity() + kMessageOverheadBytes, room)) {
      refuse({503, "no memory is left for the request body"});
      return false;
    }
    std::memcpy(larger.data(), body.data(), body.size());
    larger.resize(body.size());
    body_ = {std::move(larger), std::move(room)};
  }
  std::memcpy(body.data() + body.size(), content.data(), content.size());
  body.resize(wanted);
  return true;
}

void HttpConnection::note_growth() {
  if (phase_ != Phase::kBody || body_.bytes.size() < grown_bytes_ + kGrowthBytes) return;
  grown_bytes_ = body_.bytes.size();
  since_ns_ = now_ns_;
}

// --- Answers.

void HttpConnection::refuse(const HttpRefusal& refusal) {
  const std::string body = error_body(refusal.message);
  const std::array<HttpFieldText, 1> fields{{{"Content-Type", "application/json"}}};
  std::string text;
  append_head(text, {.status = refusal.status, .fields = fields, .body_bytes = body.size(), .closes = true});
  push(text.append(body));
  lingers_ = true;
  end();
}

void HttpConnection::respond(int status, std::span<const HttpFieldText> fields, Buffer body, int64_t now_ns) {
  now_ns_ = now_ns;
  if (shuts_down_) head_.keeps_alive = false;
  std::string text;
  append_head(text, {.status = status,
                     .fields = fields,
                     .body_bytes = body.size(),
                     .closes = !head_.keeps_alive,
                     .keeps_alive_1_0 = head_.is_http_1_0 && head_.keeps_alive});
  push(text);
  if (head_.method != "HEAD" && allows_body(status)) outgoing_.push(std::move(body));
  end_answer();
}

void HttpConnection::start_stream(int status, std::span<const HttpFieldText> fields) {
  is_chunked_stream_ = !head_.is_http_1_0;
  sends_body_ = head_.method != "HEAD" && allows_body(status);
  if (shuts_down_ || !is_chunked_stream_) head_.keeps_alive = false;
  std::string text;
  append_head(text, {.status = status,
                     .fields = fields,
                     .body_end = is_chunked_stream_ && allows_body(status) ? BodyEnd::kChunked : BodyEnd::kClose,
                     .closes = !head_.keeps_alive});
  push(text);
  phase_ = Phase::kStream;
}

void HttpConnection::send(std::span<const std::byte> piece) {
  // An empty chunk would be the last.
  if (phase_ != Phase::kStream || piece.empty() || !sends_body_) return;
  std::string text = is_chunked_stream_ ? chunk_head(piece.size()) : std::string();
  text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  if (is_chunked_stream_) text.append("\r\n");
  push(text);
}

void HttpConnection::end_stream(int64_t now_ns) {
  if (phase_ != Phase::kStream) return;
  now_ns_ = now_ns;
  if (is_chunked_stream_ && sends_body_) push(kLastChunk);
  end_answer();
}

void HttpConnection::end_answer() {
  if (!head_.keeps_alive) return end();
  body_ = Message();
  phase_ = Phase::kIdle;
  since_ns_ = now_ns_;
  if (shuts_down_) return end();
  go_on();
}

void HttpConnection::end() {
  // What was not read, closed upon, would take the last answer with it.
  lingers_ |= !held_.empty();
  phase_ = Phase::kOver;
  since_ns_ = now_ns_;
  body_ = Message();
  held_ = std::string();
  held_at_ = 0;
  held_room_ = Reservation();
}

void HttpConnection::push(std::string_view text) {
  if (outgoing_.empty()) sent_ns_ = now_ns_;
  outgoing_.push(buffer_of(text));
}

void HttpConnection::take_output(std::string& out, size_t about_bytes, int64_t now_ns) {
  now_ns_ = now_ns;
  const bool was_full = outgoing_.bytes() > limits_.max_unsent_bytes;
  if (!outgoing_.empty()) {
    outgoing_.take(std::min(outgoing_.bytes(), about_bytes), out);
    sent_ns_ = now_ns;
  }
  if (was_full && phase_ == Phase::kIdle) go_on();
}

void HttpConnection::set_writable(bool writable, int64_t now_ns) {
  unwritable_ns_ = writable ? kNever : now_ns;
  if (writable) sent_ns_ = now_ns;
}

// --- Time.

int64_t HttpConnection::next_wake_ns() const {
  if (aborted_) return kNever;
  int64_t unsent_until_ns = unwritable_ns_ == kNever ? kNever : after(unwritable_ns_, limits_.slow_reader_timeout_ns);
  if (!outgoing_.empty()) unsent_until_ns = std::min(unsent_until_ns, after(sent_ns_, limits_.slow_reader_timeout_ns));
  switch (phase_) {
    case Phase::kIdle:
      return std::min(unsent_until_ns, after(since_ns_, limits_.keepalive_timeout_ns));
    case Phase::kHead:
      return std::min(unsent_until_ns, after(since_ns_, limits_.head_timeout_ns));
    case Phase::kBody:
      return std::min(unsent_until_ns, after(since_ns_, limits_.slow_writer_timeout_ns));
    case Phase::kRoom:
    case Phase::kRequest:
    case Phase::kStream:
      return unsent_until_ns;
    case Phase::kOver:
      if (lingers_ && outgoing_.empty() && unwritable_ns_ == kNever) {
        return after(std::max(since_ns_, sent_ns_), limits_.linger_timeout_ns);
      }
      return after(std::max(since_ns_, sent_ns_), limits_.slow_reader_timeout_ns);
  }
  return kNever;
}

void HttpConnection::advance(int64_t now_ns) {
  if (now_ns < next_wake_ns()) return;
  now_ns_ = now_ns;
  const bool is_unsent = unwritable_ns_ != kNever || !outgoing_.empty();
  switch (phase_) {
    case Phase::kIdle:
      if (!is_unsent) return end();
      break;
    case Phase::kHead:
      if (!is_unsent) return refuse({408, "the rest of the request head did not come in time"});
      break;
    case Phase::kBody:
      if (!is_unsent) return refuse({408, "the rest of the request body did not come in time"});
      break;
    case Phase::kRoom:
    case Phase::kRequest:
    case Phase::kStream:
    case Phase::kOver:
      break;
  }
  // Nobody takes what is sent, or closes what is over.
  aborted_ = true;
}

void HttpConnection::shut_down(int64_t now_ns) {
  now_ns_ = now_ns;
  shuts_down_ = true;
  if (phase_ == Phase::kIdle) end();
}

}  // namespace npuserve::wire
