// The head of an HTTP/1.1 request (RFC 9112), read strictly: what two servers could read differently is refused, so
// that none in front of us can be made to see other requests than we do (request smuggling).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/http_limits.h"

namespace npuserve::wire {

// Why a request cannot be read; its connection ends with it.
struct HttpRefusal {
  int status = 400;
  std::string message;
};

struct HttpField {
  std::string_view name;  // in lower case
  std::string_view value;
};

struct HttpHead {
  std::string_view method;
  std::string_view path;  // without the query, and without the authority of an absolute target
  std::vector<HttpField> fields;

  bool is_http_1_0 = false;
  bool keeps_alive = true;  // whether the client wants to go on with the connection
  bool expects_continue = false;
  bool is_chunked = false;
  std::optional<size_t> content_length;

  bool has_body() const { return is_chunked || content_length.value_or(0) > 0; }

  // The value of the only field of that name; nullopt if there is none, or more than one.
  std::optional<std::string_view> find(std::string_view name) const;
};

// Reads a whole head, the empty line included. Names in `text` become lower case, and `head` views it. Returns why not,
// if not.
std::optional<HttpRefusal> parse_head(std::string& text, const HttpLimits& limits, HttpHead& head);

// Why these first bytes of a head, without its end, can be none; nullopt if they can. `checked`: so many of them were
// seen before.
std::optional<HttpRefusal> check_begun_head(std::string_view text, size_t checked, const HttpLimits& limits);

// Reads a field line without its end; `line` becomes lower case up to the colon. False if it is none.
bool parse_field(char* line, size_t size, HttpField& field);

// RFC 9110 section 5.6.2.
bool is_token(std::string_view text);

// A field's value as it may be on the wire: no control characters but tabs.
bool is_field_value(std::string_view text);

// ASCII letters count the same in both cases. REQUIRES: `lower` is in lower case.
bool equals_ignoring_case(std::string_view text, std::string_view lower);

}  // namespace npuserve::wire
