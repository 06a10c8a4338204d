#include "wire/request_head.h"

#include <algorithm>
#include <array>
#include <utility>

#include "wire/metadata.h"

namespace npuserve::wire {
namespace {

constexpr size_t kFieldOverheadBytes = 32;  // RFC 9113, section 6.5.2
constexpr size_t kMaxNamedBytes = 128;      // of a client's text in our sentences

// gRPC's own, which servicers never see, besides those that mean something here.
constexpr std::array<std::string_view, 4> kHidden{"grpc-status", "grpc-message", "grpc-trace-bin", "grpc-tags-bin"};

std::string unparsable(std::string_view name, std::string_view why = {}) {
  std::string sentence = "Error parsing '";
  sentence.append(name.substr(0, kMaxNamedBytes)).append("' metadata");
  if (!why.empty()) sentence.append(": ").append(why);
  return sentence;
}

}  // namespace

void RequestHead::reset() {
  head_.path.clear();
  head_.metadata.clear();
  head_.deadline_ns = kNever;
  head_.request_encoding = Encoding::kIdentity;
  head_.accepts_gzip = false;
  head_.accepts_deflate = false;
  bytes_ = 0;
  timeout_ns_ = kNever;
  is_post_ = false;
  is_grpc_ = false;
  has_authority_ = false;
  refusal_.reset();
}

void RequestHead::refuse(core::StatusCode code, std::string message) {
  if (!refusal_) refusal_ = Refusal{200, {code, std::move(message)}};
}

void RequestHead::add(std::string_view name, std::string_view value, size_t max_bytes) {
  if (bytes_ > max_bytes) return;  // the refusal names the size at which it was too much, as grpc-core's does
  bytes_ += name.size() + value.size() + kFieldOverheadBytes;
  if (bytes_ > max_bytes) return;  // nothing of it is kept: finish() refuses the call
  if (name.starts_with(':')) return add_pseudo(name, value);
  if (!add_known(name, value)) add_metadata(name, value);
}

void RequestHead::add_pseudo(std::string_view name, std::string_view value) {
  if (name == ":path") {
    head_.path = value;
  } else if (name == ":method") {
    is_post_ = value == "POST";
  } else if (name == ":authority") {
    has_authority_ = true;
  }
}

bool RequestHead::add_known(std::string_view name, std::string_view value) {
  if (name == "te") return true;  // nghttp2 lets nothing but "trailers" through
  if (name == "content-type") {
    is_grpc_ = is_grpc_content_type(value);
  } else if (name == "host") {
    return !has_authority_;  // else it is metadata, as grpcio shows it
  } else if (!name.starts_with("grpc-")) {
    return false;
  } else if (name == "grpc-timeout") {
    const std::optional<int64_t> timeout_ns = parse_timeout_ns(value);
    if (!timeout_ns) refuse(core::StatusCode::kInternal, unparsable(name));
    timeout_ns_ = timeout_ns.value_or(kNever);
  } else if (name == "grpc-encoding") {
    const std::optional<Encoding> encoding = encoding_from_name(value);
    if (!encoding) {
      refuse(core::StatusCode::kUnimplemented,
             "Compression algorithm '" + std::string(value.substr(0, kMaxNamedBytes)) + "' is not supported.");
    }
    head_.request_encoding = encoding.value_or(Encoding::kIdentity);
  } else if (name == "grpc-accept-encoding") {
    accept(value);
  } else {
    return std::ranges::find(kHidden, name) != kHidden.end();
  }
  return true;
}

void RequestHead::add_metadata(std::string_view name, std::string_view value) {
  if (!is_binary_key(name)) {
    head_.metadata.emplace_back(name, value);
    return;
  }
  std::optional<std::string> bytes = base64_decode(value);
  if (!bytes) return refuse(core::StatusCode::kInternal, unparsable(name, "illegal base64 encoding"));
  head_.metadata.emplace_back(name, *std::move(bytes));
}

void RequestHead::accept(std::string_view encodings) {
  while (!encodings.empty()) {
    const size_t comma = std::min(encodings.find(','), encodings.size());
    std::string_view name = encodings.substr(0, comma);
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    head_.accepts_gzip |= name == "gzip";
    head_.accepts_deflate |= name == "deflate";
    encodings.remove_prefix(std::min(comma + 1, encodings.size()));
  }
}

std::optional<Refusal> RequestHead::finish(size_t max_bytes, int64_t now_ns) {
  if (bytes_ > max_bytes) {
    return Refusal{
        200,
        {core::StatusCode::kResourceExhausted, "received metadata size exceeds hard limit (" + std::to_string(bytes_) +
                                                   " vs. " + std::to_string(max_bytes) + ")"}};
  }
  if (!is_post_) return Refusal{405, {core::StatusCode::kInternal, "gRPC calls are POST requests"}};
  if (!is_grpc_) return Refusal{415, {core::StatusCode::kInternal, "The content-type of gRPC is application/grpc"}};
  if (timeout_ns_ < kNever - now_ns) head_.deadline_ns = now_ns + timeout_ns_;
  return std::move(refusal_);
}

}  // namespace npuserve::wire
