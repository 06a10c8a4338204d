#include "wire/h2_session.h"

#include <algorithm>
#include <array>
#include <new>
#include <utility>

namespace npuserve::wire {
namespace {

// DATA frames up to this, if the peer takes them: beyond it the 9 bytes of a frame's head no longer count.
constexpr size_t kMaxDataFrameBytes = size_t{64} * 1024;

constexpr size_t kFrameHeadBytes = 9;

// The whole connection's window, returned as DATA comes: what bounds memory is the streams' windows and the budget.
constexpr int32_t kConnectionWindowBytes = 16 << 20;

std::string_view view(const uint8_t* text, size_t size) { return {reinterpret_cast<const char*>(text), size}; }

}  // namespace

int check_memory(int code) {
  if (code == NGHTTP2_ERR_NOMEM) throw std::bad_alloc();
  return code;
}

// nghttp2's side of the border. Nothing is thrown through it.
struct Callbacks {
  static H2Session& session(void* user) { return *static_cast<H2Session*>(user); }

  template <typename Act>
  static int guard(void* user, Act act) noexcept {
    H2Session& self = session(user);
    try {
      act(self);
      return 0;
    } catch (...) {
      self.thrown_ = std::current_exception();
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
  }

  static int on_begin_headers(nghttp2_session* /*session*/, const nghttp2_frame* frame, void* user) noexcept {
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    return guard(user, [&](H2Session& self) { self.sink_.on_request(frame->hd.stream_id); });
  }

  static int on_header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                       const uint8_t* value, size_t value_size, uint8_t /*flags*/, void* user) noexcept {
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    void* call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (call == nullptr) return 0;
    return guard(user,
                 [&](H2Session& self) { self.sink_.on_header(call, view(name, name_size), view(value, value_size)); });
  }

  static int on_begin_frame(nghttp2_session* /*session*/, const nghttp2_frame_hd* head, void* user) noexcept {
    return guard(user, [&](H2Session& self) { self.sink_.on_frame_begins(head->type, head->length); });
  }

  static int on_frame(nghttp2_session* /*session*/, const nghttp2_frame* frame, void* user) noexcept {
    return guard(user, [&](H2Session& self) { self.sink_.on_frame(*frame); });
  }

  static int on_data(nghttp2_session* /*session*/, uint8_t /*flags*/, int32_t stream_id, const uint8_t* bytes,
                     size_t size, void* user) noexcept {
    return guard(user, [&](H2Session& self) { self.sink_.on_data(stream_id, std::as_bytes(std::span(bytes, size))); });
  }

  static int on_frame_sent(nghttp2_session* /*session*/, const nghttp2_frame* frame, void* user) noexcept {
    return guard(user, [&](H2Session& self) { self.sink_.on_frame_sent(*frame); });
  }

  static int on_stream_closed(nghttp2_session* /*session*/, int32_t stream_id, uint32_t /*code*/, void* user) noexcept {
    return guard(user, [&](H2Session& self) { self.sink_.on_stream_closed(stream_id); });
  }

  static ssize_t data_length(nghttp2_session* /*session*/, uint8_t /*type*/, int32_t /*stream_id*/,
                             int32_t session_window, int32_t stream_window, uint32_t max_frame_size,
                             void* /*user*/) noexcept {
    const auto window = static_cast<size_t>(std::min(session_window, stream_window));
    return static_cast<ssize_t>(std::min({window, size_t{max_frame_size}, kMaxDataFrameBytes}));
  }

  static ssize_t read_body(nghttp2_session* /*session*/, int32_t /*stream_id*/, uint8_t* /*to*/, size_t room,
                           uint32_t* flags, nghttp2_data_source* source, void* user) noexcept {
    Chunk chunk;
    const int code = guard(user, [&](H2Session& self) { chunk = self.sink_.next_chunk(source->ptr, room); });
    if (code != 0) return code;
    if (chunk.bytes == 0 && !chunk.last) return NGHTTP2_ERR_DEFERRED;
    *flags = NGHTTP2_DATA_FLAG_NO_COPY;
    if (chunk.last) *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    return static_cast<ssize_t>(chunk.bytes);
  }

  static int send_data(nghttp2_session* /*session*/, nghttp2_frame* /*frame*/, const uint8_t* head, size_t size,
                       nghttp2_data_source* source, void* user) noexcept {
    const int code = guard(user, [&](H2Session& self) {
      self.out_->append(view(head, kFrameHeadBytes));
      self.sink_.append_chunk(source->ptr, size, *self.out_);
    });
    if (code != 0) return code;
    // Else nghttp2 would go on to the next DATA frame. This one is sent: none is ever left half-way between it and us.
    return session(user).out_->size() >= session(user).until_bytes_ ? NGHTTP2_ERR_PAUSE : 0;
  }
};

namespace {

struct DeleteCallbacks {
  void operator()(nghttp2_session_callbacks* callbacks) const { nghttp2_session_callbacks_del(callbacks); }
};
struct DeleteOption {
  void operator()(nghttp2_option* option) const { nghttp2_option_del(option); }
};

std::unique_ptr<nghttp2_session_callbacks, DeleteCallbacks> make_callbacks() {
  nghttp2_session_callbacks* made = nullptr;
  check_memory(nghttp2_session_callbacks_new(&made));
  std::unique_ptr<nghttp2_session_callbacks, DeleteCallbacks> callbacks(made);
  nghttp2_session_callbacks_set_on_begin_headers_callback(made, Callbacks::on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(made, Callbacks::on_header);
  nghttp2_session_callbacks_set_on_begin_frame_callback(made, Callbacks::on_begin_frame);
  nghttp2_session_callbacks_set_on_frame_recv_callback(made, Callbacks::on_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, Callbacks::on_data);
  nghttp2_session_callbacks_set_on_frame_send_callback(made, Callbacks::on_frame_sent);
  nghttp2_session_callbacks_set_on_stream_close_callback(made, Callbacks::on_stream_closed);
  nghttp2_session_callbacks_set_data_source_read_length_callback(made, Callbacks::data_length);
  nghttp2_session_callbacks_set_send_data_callback(made, Callbacks::send_data);
  return callbacks;
}

std::unique_ptr<nghttp2_option, DeleteOption> make_option() {
  nghttp2_option* made = nullptr;
  check_memory(nghttp2_option_new(&made));
  std::unique_ptr<nghttp2_option, DeleteOption> option(made);
  nghttp2_option_set_no_auto_window_update(made, 1);
  nghttp2_option_set_no_closed_streams(made, 1);
  return option;
}

uint32_t as_setting(size_t value) { return static_cast<uint32_t>(std::min<size_t>(value, UINT32_MAX)); }

}  // namespace

H2Session::H2Session(SessionSink& sink, const Limits& limits) : sink_(sink) {
  const auto callbacks = make_callbacks();
  const auto option = make_option();
  nghttp2_session* made = nullptr;
  check_memory(nghttp2_session_server_new2(&made, callbacks.get(), this, option.get()));
  session_.reset(made);
  const std::array<nghttp2_settings_entry, 3> settings{{
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.max_concurrent_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, static_cast<uint32_t>(kStreamWindowBytes)},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, as_setting(limits.max_header_list_bytes)},
  }};
  check_memory(nghttp2_submit_settings(made, NGHTTP2_FLAG_NONE, settings.data(), settings.size()));
  check_memory(nghttp2_session_set_local_window_size(made, NGHTTP2_FLAG_NONE, 0, kConnectionWindowBytes));
}

void H2Session::rethrow() {
  if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
}

bool H2Session::receive(std::span<const std::byte> bytes) {
  const ssize_t read =
      nghttp2_session_mem_recv(session_.get(), reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  rethrow();
  if (read < 0) check_memory(static_cast<int>(read));
  return read >= 0;
}

bool H2Session::send(std::string& out, size_t until_bytes) {
  out_ = &out;
  until_bytes_ = until_bytes;
  while (out.size() < until_bytes) {
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_.get(), &bytes);
    rethrow();
    if (size < 0) check_memory(static_cast<int>(size));
    if (size < 0) return false;
    if (size == 0) break;
    out.append(view(bytes, static_cast<size_t>(size)));
  }
  return true;
}

nghttp2_data_provider H2Session::body(void* call) {
  nghttp2_data_provider provider{};
  provider.source.ptr = call;
  provider.read_callback = Callbacks::read_body;
  return provider;
}

}  // namespace npuserve::wire
