// From answers to bytes, and the ways a connection ends.
#include <algorithm>
#include <utility>

#include "wire/answer.h"
#include "wire/connection_state.h"

namespace npuserve::wire {

const CallHead* Connection::State::head(int32_t stream_id) const {
  const Call* call = is_over() ? nullptr : find(stream_id);
  return call == nullptr ? nullptr : &call->request.head();
}

size_t Connection::State::unsent_bytes(int32_t stream_id) const {
  const Call* call = is_over() ? nullptr : find(stream_id);
  return call == nullptr ? 0 : call->outgoing.bytes();
}

// --- Calls.

void Connection::State::send_message(int32_t stream_id, Buffer framed, Encoding encoding) {
  Call* call = is_over() ? nullptr : find(stream_id);
  if (call == nullptr) return;
  const ServerSide next = next_state(call->server, ServerInput::kMessage);
  if (next == ServerSide::kInvalid || framed.empty()) return;
  if (call->outgoing.empty()) maybe_unsent_.push_back(stream_id);
  call->outgoing.push(std::move(framed));
  if (call->server == ServerSide::kSilent) {
    call->response_encoding = encoding;
    submit_headers(session_, *call);
  } else {
    // Invalid if the stream does not wait for it, which is as well.
    check_memory(nghttp2_session_resume_data(session_.get(), stream_id));
  }
  call->server = next;
}

void Connection::State::finish(int32_t stream_id, const core::Status& status, const Metadata& trailing) {
  Call* call = is_over() ? nullptr : find(stream_id);
  if (call == nullptr) return;
  call->is_told = false;
  answer(*call, status, trailing);
}

void Connection::State::answer(Call& call, const core::Status& status, const Metadata& trailing, int http_status) {
  const ServerSide next = next_state(call.server, ServerInput::kStatus);
  if (next == ServerSide::kInvalid) return;
  set_status(call, status, trailing);
  if (call.server == ServerSide::kSilent) {
    submit_trailers_only(session_, call, http_status);
  } else if (call.outgoing.empty()) {
    submit_trailers(session_, call);
    call.has_trailers = true;
  }
  call.server = next;
  stop_client_side(call);
}

// Ends a call for the shell and for the client, ahead of what was queued.
void Connection::State::refuse(Call& call, const core::Status& status, EventKind kind, int http_status) {
  tell(call, kind);
  if (call.server != ServerSide::kFinished) call.outgoing.clear();
  answer(call, status, {}, http_status);
  stop_client_side(call);
}

void Connection::State::tell(Call& call, EventKind kind) {
  if (!std::exchange(call.is_told, false)) return;
  events_.push({kind, call.stream_id});
}

void Connection::State::release(Call& call) {
  if (call.reader.awaits_room()) budget_.forget(id_, call.stream_id);
  nghttp2_session_set_stream_user_data(session_.get(), call.stream_id, nullptr);
  calls_.close(call);
}

// --- Output.

void Connection::State::take_output(std::string& out, size_t about_bytes, int64_t now_ns) {
  now_ns_ = now_ns;
  if (is_over()) return;
  if (!session_.send(out, about_bytes)) {
    cancel_all();
    farewell_ = Farewell::kOver;
    return watch_end();
  }
  watch_unsent();
  leave_if_done();
  if (farewell_ == Farewell::kLeaving && !session_.send(out, about_bytes)) farewell_ = Farewell::kOver;
  watch_end();
}

Chunk Connection::State::next_chunk(void* source, size_t room) {
  Call& call = *static_cast<Call*>(source);
  Chunk chunk;
  chunk.bytes = std::min(room, call.outgoing.bytes());
  chunk.last = call.server == ServerSide::kFinished && chunk.bytes == call.outgoing.bytes();
  if (chunk.last && !std::exchange(call.has_trailers, true)) submit_trailers(session_, call);
  return chunk;
}

void Connection::State::append_chunk(void* source, size_t bytes, std::string& out) {
  Call& call = *static_cast<Call*>(source);
  call.outgoing.take(bytes, out);
  call.sent_ns = now_ns_;
}

void Connection::State::on_frame_sent(const nghttp2_frame& frame) {
  switch (frame.hd.type) {
    case NGHTTP2_HEADERS:
      strikes_.forgive();
      keepalive_.sent_data();
      if ((frame.hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return;
      if (nghttp2_session_get_stream_remote_close(session_.get(), frame.hd.stream_id) != 0) return;
      check_memory(nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, frame.hd.stream_id, NGHTTP2_NO_ERROR));
      return;
    case NGHTTP2_DATA:
      strikes_.forgive();
      keepalive_.sent_data();
      barren_frames_ = 0;
      return;
    case NGHTTP2_RST_STREAM:
      // Ours for the client's errors count as its own, or it could have us do the resetting (CVE-2025-8671).
      if (frame.rst_stream.error_code != NGHTTP2_NO_ERROR && farewell_ < Farewell::kShuttingDown) count_reset();
      return;
    case NGHTTP2_GOAWAY:
      if (farewell_ == Farewell::kLeaving) farewell_ = Farewell::kOver;
      return;
    default:
      return;
  }
}

// --- The end.

void Connection::State::announce_shutdown() {
  if (farewell_ != Farewell::kNone) return;
  check_memory(nghttp2_submit_shutdown_notice(session_.get()));
  farewell_ = Farewell::kAnnounced;
}

void Connection::State::shut_down(int64_t now_ns) {
  now_ns_ = now_ns;
  announce_shutdown();
  if (farewell_ == Farewell::kAnnounced) farewell_ = Farewell::kShuttingDown;
  leave_if_done();
}

void Connection::State::leave_if_done() {
  if (farewell_ == Farewell::kShuttingDown && calls_.size() == 0) leave(NGHTTP2_NO_ERROR, {});
}

// The last GOAWAY. Nothing is read any more, and nothing is sent behind it.
void Connection::State::leave(uint32_t error_code, std::string_view reason) {
  if (farewell_ >= Farewell::kLeaving) return;
  farewell_ = Farewell::kLeaving;
  check_memory(nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE,
                                     nghttp2_session_get_last_proc_stream_id(session_.get()), error_code,
                                     reinterpret_cast<const uint8_t*>(reason.data()), reason.size()));
}

void Connection::State::abort() {
  cancel_all();
  aborted_ = true;
  farewell_ = Farewell::kOver;
}

// The shell closes now, which takes as long as the client does not read what is on its way: also that has an end.
void Connection::State::watch_end() {
  if (finished() && !aborted_ && finished_ns_ == kNever) finished_ns_ = now_ns_;
}

void Connection::State::cancel_all() {
  while (calls_.size() > 0) {
    Call& call = calls_.at(calls_.size() - 1);
    tell(call, EventKind::kCallCancelled);
    release(call);
  }
}

void Connection::State::set_writable(bool writable, int64_t now_ns) {
  now_ns_ = now_ns;
  if (writable) {
    unwritable_ns_ = kNever;
  } else if (unwritable_ns_ == kNever) {
    unwritable_ns_ = now_ns;
  }
}

}  // namespace npuserve::wire
