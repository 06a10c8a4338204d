#include "wire/answer.h"

#include <array>
#include <string_view>

#include "wire/metadata.h"

namespace npuserve::wire {
namespace {

// grpc-core lets a client's metadata be 16 KiB; half of that leaves room for the rest.
constexpr size_t kMaxStatusTextBytes = size_t{8} * 1024;

uint8_t* bytes(std::string_view text) {
  return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));  // nghttp2 only reads
}

// Both texts must live as long as the program.
nghttp2_nv constant(std::string_view name, std::string_view value) {
  return {bytes(name), bytes(value), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

nghttp2_nv named(std::string_view name, std::string_view value) {
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NO_COPY_NAME};
}

nghttp2_nv copied(std::string_view name, std::string_view value) {
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

nghttp2_nv grpc_status(int code) {
  static constexpr std::array<std::string_view, 17> kCodes{"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                                           "9", "10", "11", "12", "13", "14", "15", "16"};
  constexpr size_t kUnknown = 2;
  const auto index = static_cast<size_t>(code);
  return constant("grpc-status", kCodes.at(index < kCodes.size() ? index : kUnknown));
}

nghttp2_nv http_status_field(int code) {
  switch (code) {
    case 405:
      return constant(":status", "405");
    case 415:
      return constant(":status", "415");
    default:
      return constant(":status", "200");
  }
}

// A block's fields; only long ones leave the stack.
class Fields {
 public:
  void add(nghttp2_nv field) {
    if (size_ < few_.size()) {
      few_[size_++] = field;
      return;
    }
    if (many_.empty()) many_.assign(few_.begin(), few_.end());
    many_.push_back(field);
  }

  const nghttp2_nv* data() const { return many_.empty() ? few_.data() : many_.data(); }
  size_t size() const { return many_.empty() ? size_ : many_.size(); }

 private:
  std::array<nghttp2_nv, 8> few_{};
  size_t size_ = 0;
  std::vector<nghttp2_nv> many_;
};

void add_status(Fields& fields, const Call& call) {
  fields.add(grpc_status(call.status_code));
  if (!call.status_text.empty()) fields.add(named("grpc-message", call.status_text));
  for (const auto& [key, value] : call.trailing) fields.add(copied(key, value));
}

// What a handler may put into trailers: nothing that HTTP or gRPC itself says there.
bool is_custom(std::string_view key) {
  return is_valid_key(key) && key != "grpc-status" && key != "grpc-message" && key != "content-type" && key != "te";
}

}  // namespace

void set_status(Call& call, const core::Status& status, const Metadata& trailing) {
  call.status_code = static_cast<int>(status.code());
  call.status_text = percent_encode(status.message(), kMaxStatusTextBytes);
  call.trailing.clear();
  for (const auto& [key, value] : trailing) {
    if (!is_custom(key)) continue;
    if (is_binary_key(key)) {
      call.trailing.emplace_back(key, base64_encode(value));
    } else if (is_valid_value(value)) {
      call.trailing.emplace_back(key, value);
    }
  }
}

void submit_headers(H2Session& session, Call& call) {
  Fields fields;
  fields.add(constant(":status", "200"));
  fields.add(constant("content-type", "application/grpc"));
  if (call.response_encoding != Encoding::kIdentity) {
    fields.add(constant("grpc-encoding", encoding_name(call.response_encoding)));
  }
  fields.add(constant("grpc-accept-encoding", "identity, deflate, gzip"));
  const nghttp2_data_provider body = H2Session::body(&call);
  check_memory(nghttp2_submit_response(session.get(), call.stream_id, fields.data(), fields.size(), &body));
}

void submit_trailers(H2Session& session, const Call& call) {
  Fields fields;
  add_status(fields, call);
  check_memory(nghttp2_submit_trailer(session.get(), call.stream_id, fields.data(), fields.size()));
}

void submit_trailers_only(H2Session& session, const Call& call, int http_status) {
  Fields fields;
  fields.add(http_status_field(http_status));
  fields.add(constant("content-type", "application/grpc"));
  add_status(fields, call);
  if (call.status_code == static_cast<int>(core::StatusCode::kUnimplemented)) {
    fields.add(constant("grpc-accept-encoding", "identity, deflate, gzip"));
  }
  check_memory(nghttp2_submit_response(session.get(), call.stream_id, fields.data(), fields.size(), nullptr));
}

}  // namespace npuserve::wire
