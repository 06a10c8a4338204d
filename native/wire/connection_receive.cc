// From bytes to wire events.
#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "wire/compression.h"
#include "wire/connection_state.h"
#include "wire/instant.h"

namespace npuserve::wire {
namespace {

// Frames that bring nothing, in a row, before it is a flood (CVE-2019-9511 to 9518 are its kinds). A client that reads
// a long answer sends one WINDOW_UPDATE or two for each of ours, which start the count anew.
constexpr int kMaxBarrenFrames = 10'000;

// A header block of 16 KiB frames that is within any limit of ours needs few (CVE-2024-28182 is the flood of them).
constexpr int kMaxContinuations = 64;

// Frames that may wait for a client that makes us answer and does not read, besides a few a call. nghttp2 bounds the
// acks among them at 1000.
constexpr size_t kMaxQueuedFrames = 10'000;
constexpr size_t kMaxQueuedFramesPerCall = 4;

}  // namespace

Call* Connection::State::find(int32_t stream_id) const {
  return static_cast<Call*>(
      nghttp2_session_get_stream_user_data(const_cast<nghttp2_session*>(session_.get()), stream_id));
}

void Connection::State::receive(std::span<const std::byte> bytes, int64_t now_ns) {
  now_ns_ = now_ns;
  if (farewell_ >= Farewell::kLeaving) return;
  keepalive_.heard(now_ns);
  if (!session_.receive(bytes)) {
    cancel_all();
    farewell_ = Farewell::kOver;
    return watch_end();
  }
  const size_t most = kMaxQueuedFrames + kMaxQueuedFramesPerCall * calls_.size();
  if (nghttp2_session_get_outbound_queue_size(session_.get()) > most) return abort();
  leave_if_done();
  watch_end();
}

void Connection::State::receive_end(int64_t now_ns) {
  now_ns_ = now_ns;
  cancel_all();
  farewell_ = Farewell::kOver;
}

// --- Frames.

void Connection::State::on_request(int32_t stream_id) {
  if (farewell_ >= Farewell::kShuttingDown) {
    check_memory(nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_REFUSED_STREAM));
    return;
  }
  Call& call = calls_.open(stream_id);
  nghttp2_session_set_stream_user_data(session_.get(), stream_id, &call);
  age_.became_busy();
}

void Connection::State::on_header(void* call, std::string_view name, std::string_view value) {
  static_cast<Call*>(call)->request.add(name, value, limits_.max_header_list_bytes);
}

void Connection::State::on_frame_begins(uint8_t type, size_t length) {
  const bool is_fruitful = type == NGHTTP2_HEADERS || (type == NGHTTP2_DATA && length > 0);
  barren_frames_ = is_fruitful ? 0 : barren_frames_ + 1;
  continuations_ = type == NGHTTP2_CONTINUATION ? continuations_ + 1 : 0;
  if (barren_frames_ > kMaxBarrenFrames || continuations_ > kMaxContinuations) {
    leave(NGHTTP2_ENHANCE_YOUR_CALM, "too many frames that bring nothing");
  }
}

void Connection::State::on_frame(const nghttp2_frame& frame) {
  switch (frame.hd.type) {
    case NGHTTP2_HEADERS:
      return receive_headers(frame);
    case NGHTTP2_DATA:
      if ((frame.hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return;
      if (Call* call = find(frame.hd.stream_id)) end_client_side(*call);
      return;
    case NGHTTP2_RST_STREAM:
      return count_reset();
    case NGHTTP2_SETTINGS:
      return age_.greeted();
    case NGHTTP2_PING: {
      if ((frame.hd.flags & NGHTTP2_FLAG_ACK) != 0) return;
      const bool idle = calls_.size() == 0 && !limits_.keepalive_permit_without_calls;
      if (strikes_.is_abuse(now_ns_, idle)) leave(NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings");
      return;
    }
    default:
      return;
  }
}

void Connection::State::receive_headers(const nghttp2_frame& frame) {
  Call* call = find(frame.hd.stream_id);
  if (call == nullptr) return;
  if (frame.headers.cat == NGHTTP2_HCAT_REQUEST) begin(*call);
  if ((frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) end_client_side(*call);
}

void Connection::State::count_reset() {
  if (!resets_.take(now_ns_)) leave(NGHTTP2_ENHANCE_YOUR_CALM, "too_many_resets");
}

// --- Calls.

void Connection::State::begin(Call& call) {
  std::optional<Refusal> refusal = call.request.finish(limits_.max_header_list_bytes, now_ns_);
  if (!refusal && call.request.head().deadline_ns <= now_ns_) {
    refusal = Refusal{200, {core::StatusCode::kDeadlineExceeded, "Deadline Exceeded"}};
  }
  if (refusal) return refuse(call, refusal->status, EventKind::kCallCancelled, refusal->http_status);
  call.client = next_state(call.client, ClientInput::kHead);
  const int64_t deadline_ns = call.request.head().deadline_ns;
  if (deadline_ns != kNever) set_timer(Timers::Kind::kDeadline, call, deadline_ns);
  call.is_told = true;
  events_.push({EventKind::kCallStarted, call.stream_id});
}

void Connection::State::on_data(int32_t stream_id, std::span<const std::byte> bytes) {
  check_memory(nghttp2_session_consume_connection(session_.get(), bytes.size()));
  Call* call = find(stream_id);
  if (call == nullptr) return;
  const ClientSide next = next_state(call->client, ClientInput::kBytes);
  if (next == ClientSide::kInvalid) {
    check_memory(nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_PROTOCOL_ERROR));
    return;
  }
  call->client = next;
  if (next == ClientSide::kMessages) feed(*call, bytes);
}

void Connection::State::feed(Call& call, std::span<const std::byte> bytes) {
  while (call.client == ClientSide::kMessages) {
    switch (call.reader.read(bytes)) {
      case MessageReader::Stop::kNoBytes:
        return pause_feeding(call, bytes);
      case MessageReader::Stop::kPrefix:
        reserve(call);
        break;
      case MessageReader::Stop::kMessage:
        deliver(call);
        break;
    }
  }
}

// A message has begun: it may come if the budget has room for it.
void Connection::State::reserve(Call& call) {
  const size_t length = call.reader.length();
  const bool is_compressed = call.reader.flags() == 1;
  if (call.reader.flags() > 1) return refuse(call, {core::StatusCode::kInternal, "Bad flags of a message's prefix"});
  if (is_compressed && call.request.head().request_encoding == Encoding::kIdentity) {
    return refuse(call, {core::StatusCode::kInternal, "Compression bit set but no encoding configured"});
  }
  const size_t largest = std::min(limits_.max_message_bytes,
                                  budget_.limit_bytes() - std::min(budget_.limit_bytes(), kMessageOverheadBytes));
  if (length > largest) {
    const size_t named = length > limits_.max_message_bytes ? limits_.max_message_bytes : largest;
    return refuse(call, {core::StatusCode::kResourceExhausted, "SERVER: Received message larger than max (" +
                                                                   std::to_string(length) + " vs. " +
                                                                   std::to_string(named) + ")"});
  }
  Reservation room;
  switch (budget_.reserve({id_, call.stream_id, length + kMessageOverheadBytes}, room)) {
    case MemoryBudget::Answer::kGranted:
      return call.reader.give(std::move(room));
    case MemoryBudget::Answer::kWaiting:
      return;
    case MemoryBudget::Answer::kRefused:
      return refuse(call, {core::StatusCode::kResourceExhausted,
                           "The server's memory for messages is used up, and too many calls wait for it"});
  }
}

// No more bytes for now. What came while the message waits for room is held; a message that goes on gets credit for all
// of the rest, and a clock.
void Connection::State::pause_feeding(Call& call, std::span<const std::byte> rest) {
  if (call.reader.awaits_room()) {
    call.held.insert(call.held.end(), rest.begin(), rest.end());
    return;
  }
  if (!call.reader.is_amid_message()) return;
  note_growth(call);
  open_window(call);
  if (call.watches_growth || limits_.slow_writer_timeout_ns == 0) return;
  call.watches_growth = true;
  set_timer(Timers::Kind::kGrowth, call, after(now_ns_, limits_.slow_writer_timeout_ns));
}

// A message that grows by a byte now and then holds its room as long as one that does not grow: what counts is a
// window's worth, or its end.
void Connection::State::note_growth(Call& call) {
  const size_t missing = call.reader.is_in_body() ? call.reader.missing_bytes() : SIZE_MAX;
  const bool began = call.grown_missing_bytes == 0;
  if (!began && (missing == SIZE_MAX || missing + kStreamWindowBytes > call.grown_missing_bytes)) return;
  call.grown_ns = now_ns_;
  call.grown_missing_bytes = missing;
}

void Connection::State::open_window(Call& call) {
  if (!call.reader.is_in_body()) return;
  const auto available =
      static_cast<int64_t>(nghttp2_session_get_stream_local_window_size(session_.get(), call.stream_id));
  const int64_t more = static_cast<int64_t>(call.reader.missing_bytes()) - available;
  if (available < 0 || more <= 0) return;
  check_memory(nghttp2_submit_window_update(session_.get(), NGHTTP2_FLAG_NONE, call.stream_id,
                                            static_cast<int32_t>(std::min<int64_t>(more, INT32_MAX))));
}

void Connection::State::deliver(Call& call) {
  const bool is_compressed = call.reader.flags() == 1;
  ++call.untaken_messages;
  call.untaken_bytes += call.reader.length() + kPrefixBytes;
  Message message = call.reader.take();
  call.grown_missing_bytes = 0;
  if (is_compressed && !inflate(call, message)) return;
  events_.push({EventKind::kMessageReceived, call.stream_id, std::move(message)});
}

// Decompresses into what the budget has free at once. A message that grows beyond that is refused: to wait with the
// compressed bytes in hand could be waiting for each other.
bool Connection::State::inflate(Call& call, Message& message) {
  const size_t room = budget_.most_at_once();
  const size_t limit = std::min(limits_.max_message_bytes, room - std::min(room, kMessageOverheadBytes));
  Buffer inflated;
  switch (decompress(call.request.head().request_encoding, message.bytes.bytes(), limit, inflated)) {
    case InflateResult::kCorrupt:
      refuse(call, {core::StatusCode::kInternal, "Decompression failed due to zlib error"});
      return false;
    case InflateResult::kTooLarge:
      refuse(call, {core::StatusCode::kResourceExhausted, "Decompressed message larger than max"});
      return false;
    case InflateResult::kOk:
      break;
  }
  message = Message{std::move(inflated), Reservation()};
  if (budget_.try_reserve(message.bytes.size() + kMessageOverheadBytes, message.reservation)) return true;
  refuse(call, {core::StatusCode::kResourceExhausted, "The server's memory for messages is used up"});
  return false;
}

void Connection::State::grant(int32_t stream_id, Reservation reservation, int64_t now_ns) {
  now_ns_ = now_ns;
  Call* call = is_over() ? nullptr : find(stream_id);
  if (call == nullptr || !call->reader.awaits_room()) return;
  call->reader.give(std::move(reservation));
  const std::vector<std::byte> held = std::exchange(call->held, {});
  feed(*call, held);
  if (call->end_held && !call->reader.awaits_room()) end_client_side(*call);
}

// A message that was cut off is none, as for grpc-core.
void Connection::State::end_client_side(Call& call) {
  if (call.reader.awaits_room()) {
    call.end_held = true;
    return;
  }
  const bool was_open = call.client == ClientSide::kMessages;
  const ClientSide next = next_state(call.client, ClientInput::kEnd);
  if (next != ClientSide::kInvalid) call.client = next;
  call.reader.reset();
  if (was_open && call.is_told) events_.push({EventKind::kHalfClosed, call.stream_id});
}

// What the client still sends is of no interest any more.
void Connection::State::stop_client_side(Call& call) {
  if (call.reader.awaits_room()) budget_.forget(id_, call.stream_id);
  call.reader.reset();
  call.held = {};
  const ClientSide next = next_state(call.client, ClientInput::kStop);
  if (next != ClientSide::kInvalid) call.client = next;
}

void Connection::State::message_taken(int32_t stream_id) {
  Call* call = is_over() ? nullptr : find(stream_id);
  if (call == nullptr || call->untaken_messages == 0) return;
  // Each gives back an equal share; when all are taken, so is every byte.
  call->untaken_bytes -= call->untaken_bytes / call->untaken_messages;
  if (--call->untaken_messages == 0) call->untaken_bytes = 0;
  if (call->client != ClientSide::kMessages) return;
  const int64_t available = nghttp2_session_get_stream_local_window_size(session_.get(), stream_id);
  constexpr auto kWindow = static_cast<int64_t>(kStreamWindowBytes);
  const int64_t credit = kWindow - available - static_cast<int64_t>(call->untaken_bytes + call->held.size());
  if (credit < kWindow / 4) return;
  check_memory(
      nghttp2_submit_window_update(session_.get(), NGHTTP2_FLAG_NONE, stream_id, static_cast<int32_t>(credit)));
}

void Connection::State::on_stream_closed(int32_t stream_id) {
  Call* call = find(stream_id);
  if (call == nullptr) return;
  tell(*call, EventKind::kCallCancelled);
  release(*call);
  if (calls_.size() == 0) age_.became_idle(now_ns_);
}

}  // namespace npuserve::wire
