// The states of one gRPC call, as a table.
//
// A call has two sides that move on their own. The client's: it names what it wants (the head), sends messages, then
// half-closes; it may reset at any time. Ours: silent until the first message or the status; messages; then the status
// and nothing more. A status that is given while the client still sends stops it: what it sends is discarded until its
// END_STREAM or the end of the h2 stream. HTTP/2's own states (RFC 9113, section 5.1) are nghttp2's.
//
//   client   kHead ──head──► kMessages ──end──► kHalfClosed          ours   kSilent ──message──► kMessages
//              │                │  └──stop──► kDiscarding                      └──status──► kFinished ◄──status──┘
//              └──stop──────────┴──────────────────┘   any ──reset──► kReset
//
// What is not in the table cannot happen: from the client it is a protocol error, from our side it has no effect.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace npuserve::wire {

enum class ClientSide : uint8_t { kInvalid, kHead, kMessages, kHalfClosed, kDiscarding, kReset };
enum class ClientInput : uint8_t { kHead, kBytes, kEnd, kStop, kReset };

enum class ServerSide : uint8_t { kInvalid, kSilent, kMessages, kFinished };
enum class ServerInput : uint8_t { kMessage, kStatus };

namespace call_table {

using enum ClientSide;

// Rows: where the client's side is. Columns: kHead, kBytes, kEnd, kStop, kReset.
inline constexpr std::array<std::array<ClientSide, 5>, 6> kClient{{
    {kInvalid, kInvalid, kInvalid, kInvalid, kInvalid},            // kInvalid
    {kMessages, kInvalid, kInvalid, kDiscarding, kReset},          // kHead
    {kInvalid, kMessages, kHalfClosed, kDiscarding, kReset},       // kMessages
    {kInvalid, kInvalid, kInvalid, kHalfClosed, kReset},           // kHalfClosed
    {kDiscarding, kDiscarding, kHalfClosed, kDiscarding, kReset},  // kDiscarding
    {kInvalid, kInvalid, kInvalid, kInvalid, kReset},              // kReset
}};

// Rows: where our side is. Columns: kMessage, kStatus.
inline constexpr std::array<std::array<ServerSide, 2>, 4> kServer{{
    {ServerSide::kInvalid, ServerSide::kInvalid},    // kInvalid
    {ServerSide::kMessages, ServerSide::kFinished},  // kSilent
    {ServerSide::kMessages, ServerSide::kFinished},  // kMessages
    {ServerSide::kInvalid, ServerSide::kInvalid},    // kFinished
}};

}  // namespace call_table

constexpr ClientSide next_state(ClientSide state, ClientInput input) {
  return call_table::kClient.at(static_cast<size_t>(state)).at(static_cast<size_t>(input));
}

constexpr ServerSide next_state(ServerSide state, ServerInput input) {
  return call_table::kServer.at(static_cast<size_t>(state)).at(static_cast<size_t>(input));
}

}  // namespace npuserve::wire
