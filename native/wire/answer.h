// The header blocks of answers: what each has, in nghttp2's form. Constant fields are not copied.
#pragma once

#include "core/status.h"
#include "wire/call.h"
#include "wire/connection.h"
#include "wire/h2_session.h"

namespace npuserve::wire {

// Keeps the status and the metadata in the call, as they go onto the wire. Throws std::bad_alloc.
void set_status(Call& call, const core::Status& status, const Metadata& trailing);

// Headers and, as it is pulled, the body of a call that sends messages. Throws std::bad_alloc.
void submit_headers(H2Session& session, Call& call);

// The trailers behind the body. Throws std::bad_alloc.
void submit_trailers(H2Session& session, const Call& call);

// Trailers alone: an answer without a message. Throws std::bad_alloc.
void submit_trailers_only(H2Session& session, const Call& call, int http_status);

}  // namespace npuserve::wire
