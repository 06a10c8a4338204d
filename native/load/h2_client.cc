#include "load/h2_client.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <new>

namespace npuserve::load {
namespace {

// A client that only measures takes whatever comes at once: neither window should ever hold the server up.
constexpr uint32_t kStreamWindowBytes = 8 << 20;
constexpr int32_t kConnectionWindowBytes = 64 << 20;

std::string_view view(const uint8_t* text, size_t size) { return {reinterpret_cast<const char*>(text), size}; }

// nghttp2 reads it only, but its type says otherwise.
uint8_t* bytes_of(const std::string& text) { return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data())); }

void check(int code) {
  if (code != 0) throw std::bad_alloc();
}

int number_of(std::string_view text) {
  int number = -1;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

struct DeleteCallbacks {
  void operator()(nghttp2_session_callbacks* callbacks) const { nghttp2_session_callbacks_del(callbacks); }
};

struct DeleteOption {
  void operator()(nghttp2_option* option) const { nghttp2_option_del(option); }
};

}  // namespace

// nghttp2's side of the border. Nothing is thrown through it.
struct H2ClientCallbacks {
  static H2Client& client(void* user) { return *static_cast<H2Client*>(user); }

  static H2Call* call(nghttp2_session* session, int32_t stream_id) {
    return static_cast<H2Call*>(nghttp2_session_get_stream_user_data(session, stream_id));
  }

  template <typename Act>
  static int guard(void* user, Act act) noexcept {
    try {
      act();
      return 0;
    } catch (...) {
      client(user).thrown_ = std::current_exception();
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
  }

  static int on_header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                       const uint8_t* value, size_t value_size, uint8_t /*flags*/, void* user) noexcept {
    H2Call* const of = call(session, frame->hd.stream_id);
    if (of == nullptr) return 0;
    return guard(user, [&] {
      const std::string_view key = view(name, name_size);
      const std::string_view text = view(value, value_size);
      if (key == ":status") of->http_status = number_of(text);
      if (key == "grpc-status") of->grpc_status = number_of(text);
      if (key == "grpc-message") of->message = text;
    });
  }

  static int on_data(nghttp2_session* session, uint8_t /*flags*/, int32_t stream_id, const uint8_t* bytes, size_t size,
                     void* user) noexcept {
    H2Call* const of = call(session, stream_id);
    if (of == nullptr) return 0;
    return guard(user, [&] {
      of->received.append(view(bytes, size));
      client(user).sink_.on_data(*of);
    });
  }

  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* user) noexcept {
    const bool carries = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    H2Call* const of =
        carries && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 ? call(session, frame->hd.stream_id) : nullptr;
    if (of != nullptr && of->sends_more) {
      // The server is done: so is this side, which closes the call.
      of->sends_more = false;
      nghttp2_session_resume_data(session, of->stream_id);
    }
    if (frame->hd.type == NGHTTP2_SETTINGS && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) {
      client(user).has_settings_ = true;
    }
    return 0;
  }

  static int on_closed(nghttp2_session* session, int32_t stream_id, uint32_t code, void* user) noexcept {
    H2Call* const of = call(session, stream_id);
    if (of == nullptr) return 0;
    return guard(user, [&] { client(user).sink_.on_closed(*of, code); });
  }

  static ssize_t read_body(nghttp2_session* /*session*/, int32_t /*stream_id*/, uint8_t* to, size_t room,
                           uint32_t* flags, nghttp2_data_source* source, void* /*user*/) noexcept {
    auto& of = *static_cast<H2Call*>(source->ptr);
    if (of.unsent.empty() && of.sends_more) return NGHTTP2_ERR_DEFERRED;
    const size_t size = std::min(room, of.unsent.size());
    std::memcpy(to, of.unsent.data(), size);
    of.unsent.remove_prefix(size);
    if (of.unsent.empty() && !of.sends_more) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  }
};

H2Client::H2Client(H2Sink& sink, Fields fields) : sink_(sink), fields_(std::move(fields)) {
  head_.reserve(fields_.size());
  for (const auto& [name, value] : fields_) {
    // Nothing is copied per call: fields_ outlives the session.
    constexpr uint8_t kNoCopy = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
    head_.push_back({bytes_of(name), bytes_of(value), name.size(), value.size(), kNoCopy});
  }
  nghttp2_session_callbacks* made_callbacks = nullptr;
  check(nghttp2_session_callbacks_new(&made_callbacks));
  const std::unique_ptr<nghttp2_session_callbacks, DeleteCallbacks> callbacks(made_callbacks);
  nghttp2_session_callbacks_set_on_header_callback(made_callbacks, H2ClientCallbacks::on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made_callbacks, H2ClientCallbacks::on_data);
  nghttp2_session_callbacks_set_on_frame_recv_callback(made_callbacks, H2ClientCallbacks::on_frame);
  nghttp2_session_callbacks_set_on_stream_close_callback(made_callbacks, H2ClientCallbacks::on_closed);
  nghttp2_option* made_option = nullptr;
  check(nghttp2_option_new(&made_option));
  const std::unique_ptr<nghttp2_option, DeleteOption> option(made_option);
  nghttp2_option_set_no_closed_streams(made_option, 1);
  nghttp2_session* made = nullptr;
  check(nghttp2_session_client_new2(&made, made_callbacks, this, made_option));
  session_.reset(made);
  const std::array<nghttp2_settings_entry, 2> settings{{
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindowBytes},
  }};
  check(nghttp2_submit_settings(made, NGHTTP2_FLAG_NONE, settings.data(), settings.size()));
  check(nghttp2_session_set_local_window_size(made, NGHTTP2_FLAG_NONE, 0, kConnectionWindowBytes));
}

bool H2Client::open(H2Call& call) {
  nghttp2_data_provider body{};
  body.source.ptr = &call;
  body.read_callback = H2ClientCallbacks::read_body;
  const int32_t made = nghttp2_submit_request(session_.get(), nullptr, head_.data(), head_.size(), &body, &call);
  if (made == NGHTTP2_ERR_NOMEM) throw std::bad_alloc();
  call.stream_id = made;
  return made > 0;
}

void H2Client::rethrow() {
  if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
}

bool H2Client::fail(ssize_t code) {
  if (code == NGHTTP2_ERR_NOMEM) throw std::bad_alloc();
  failure_ = std::string("the server does not speak HTTP/2: ") + nghttp2_strerror(static_cast<int>(code));
  return false;
}

bool H2Client::receive(std::string_view bytes) {
  const ssize_t read =
      nghttp2_session_mem_recv(session_.get(), reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  rethrow();
  return read >= 0 || fail(read);
}

bool H2Client::send(std::string& out, size_t until_bytes) {
  while (out.size() < until_bytes) {
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_.get(), &bytes);
    rethrow();
    if (size < 0) return fail(size);
    if (size == 0) break;
    out.append(view(bytes, static_cast<size_t>(size)));
  }
  const bool is_over =
      nghttp2_session_want_read(session_.get()) == 0 && nghttp2_session_want_write(session_.get()) == 0;
  return !is_over || fail(NGHTTP2_ERR_PROTO);
}

}  // namespace npuserve::load
