#include "client_session.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

namespace npuserve::wire {
namespace {

std::string text(const uint8_t* bytes, size_t size) { return {reinterpret_cast<const char*>(bytes), size}; }
uint8_t* bytes_of(const std::string& text) { return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data())); }

}  // namespace

struct ClientCallbacks {
  static ClientSession& self(void* user) { return *static_cast<ClientSession*>(user); }

  static int on_header(nghttp2_session* /*session*/, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                       const uint8_t* value, size_t value_size, uint8_t /*flags*/, void* user) {
    Answer& answer = self(user).answers_[frame->hd.stream_id];
    auto& block = frame->headers.cat == NGHTTP2_HCAT_RESPONSE ? answer.headers : answer.trailers;
    block.emplace_back(text(name, name_size), text(value, value_size));
    return 0;
  }

  static int on_frame(nghttp2_session* /*session*/, const nghttp2_frame* frame, void* user) {
    ClientSession& client = self(user);
    if (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) {
      if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) client.answers_[frame->hd.stream_id].is_ended = true;
    } else if (frame->hd.type == NGHTTP2_PING) {
      ++((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0 ? client.ping_acks : client.pings);
    } else if (frame->hd.type == NGHTTP2_GOAWAY) {
      client.goaways.push_back({frame->goaway.last_stream_id, frame->goaway.error_code,
                                text(frame->goaway.opaque_data, frame->goaway.opaque_data_len)});
    } else if (frame->hd.type == NGHTTP2_SETTINGS) {
      for (size_t i = 0; i < frame->settings.niv; ++i) {
        client.server_settings[frame->settings.iv[i].settings_id] = frame->settings.iv[i].value;
      }
    }
    return 0;
  }

  static int on_data(nghttp2_session* /*session*/, uint8_t /*flags*/, int32_t stream_id, const uint8_t* bytes,
                     size_t size, void* user) {
    self(user).answers_[stream_id].body += text(bytes, size);
    return 0;
  }

  static int on_closed(nghttp2_session* /*session*/, int32_t stream_id, uint32_t error_code, void* user) {
    Answer& answer = self(user).answers_[stream_id];
    answer.is_closed = true;
    answer.error_code = error_code;
    return 0;
  }

  static ssize_t read_body(nghttp2_session* /*session*/, int32_t stream_id, uint8_t* to, size_t room, uint32_t* flags,
                           nghttp2_data_source* /*source*/, void* user) {
    ClientSession::Body& body = self(user).bodies_[stream_id];
    const size_t size = std::min(room, body.bytes.size());
    if (size == 0 && !body.ends) return NGHTTP2_ERR_DEFERRED;
    std::memcpy(to, body.bytes.data(), size);
    body.bytes.erase(0, size);
    if (body.bytes.empty() && body.ends) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  }
};

std::string Answer::field(std::string_view name) const {
  for (const auto* block : {&trailers, &headers}) {
    for (const auto& [key, value] : *block) {
      if (key == name) return value;
    }
  }
  return {};
}

ClientSession::ClientSession(std::vector<nghttp2_settings_entry> settings) {
  nghttp2_session_callbacks* callbacks = nullptr;
  if (nghttp2_session_callbacks_new(&callbacks) != 0) throw std::bad_alloc();
  nghttp2_session_callbacks_set_on_header_callback(callbacks, ClientCallbacks::on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, ClientCallbacks::on_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, ClientCallbacks::on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, ClientCallbacks::on_closed);
  nghttp2_session* made = nullptr;
  const int code = nghttp2_session_client_new(&made, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  if (code != 0) throw std::bad_alloc();
  session_.reset(made);
  nghttp2_submit_settings(made, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
}

int32_t ClientSession::open(std::string_view path, const std::vector<Field>& more, bool ends) {
  std::vector<Field> fields = request_fields(path);
  fields.insert(fields.end(), more.begin(), more.end());
  return open_with(fields, ends);
}

int32_t ClientSession::open_with(const std::vector<Field>& fields, bool ends) {
  std::vector<nghttp2_nv> block;
  for (const auto& [name, value] : fields) {
    block.push_back({bytes_of(name), bytes_of(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  nghttp2_data_provider body{};
  body.read_callback = ClientCallbacks::read_body;
  return nghttp2_submit_request(session_.get(), nullptr, block.data(), block.size(), ends ? nullptr : &body, nullptr);
}

void ClientSession::send(int32_t stream_id, std::string_view bytes, bool ends) {
  bodies_[stream_id].bytes += bytes;
  bodies_[stream_id].ends |= ends;
  nghttp2_session_resume_data(session_.get(), stream_id);
}

void ClientSession::reset(int32_t stream_id, uint32_t error_code) {
  nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream_id, error_code);
}

void ClientSession::ping() { nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr); }

std::string ClientSession::take() {
  std::string out;
  for (;;) {
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_.get(), &bytes);
    if (size <= 0) return out;
    out += text(bytes, static_cast<size_t>(size));
  }
}

bool ClientSession::receive(std::string_view bytes) {
  return nghttp2_session_mem_recv(session_.get(), reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()) ==
         static_cast<ssize_t>(bytes.size());
}

std::vector<Field> request_fields(std::string_view path) {
  return {{":method", "POST"},         {":scheme", "http"}, {":path", std::string(path)},
          {":authority", "localhost"}, {"te", "trailers"},  {"content-type", "application/grpc"}};
}

std::string framed(std::string_view message, char flags) {
  std::string out(1, flags);
  for (const unsigned shift : {24U, 16U, 8U, 0U}) out += static_cast<char>(message.size() >> shift & 0xffU);
  return out.append(message);
}

}  // namespace npuserve::wire
