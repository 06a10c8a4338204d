// What an HTTP answer consists of, as text.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/status.h"

namespace npuserve::wire {

using HttpFieldText = std::pair<std::string, std::string>;

// How the end of an answer's body is told (RFC 9112 section 6).
enum class BodyEnd { kLength, kChunked, kClose };

struct HttpAnswerHead {
  int status = 200;
  std::span<const HttpFieldText> fields;
  BodyEnd body_end = BodyEnd::kLength;
  size_t body_bytes = 0;         // kLength
  bool closes = false;           // says that the connection ends here
  bool keeps_alive_1_0 = false;  // says to an HTTP/1.0 client that it does not
};

// Appends the head. Throws std::bad_alloc.
void append_head(std::string& out, const HttpAnswerHead& head);

// Whether a handler may give this field: well formed, and none that the framing or the connection depends on.
bool may_be_given(std::string_view name, std::string_view value);

// Whether answers of this status have a body at all.
bool allows_body(int status);

// {"error":"..."}
std::string error_body(std::string_view message);

// The status that Triton gives for a code.
int http_status(core::StatusCode code);

// Appends a text in quotes, escaped as JSON wants it. Bytes that are no ASCII stay as they are.
void append_json_text(std::string& out, std::string_view text);

}  // namespace npuserve::wire
