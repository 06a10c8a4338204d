// A server that does nothing but answer: `loadgen_sink MESSAGE_FILE` prints its port and answers every request with the
// file's bytes, over gRPC (HTTP/2 by the frame, without reading a head) and HTTP/1.1. What a client reaches here is the
// client's own ceiling.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>

namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr size_t kFrameHeadBytes = 9;
constexpr uint8_t kData = 0;
constexpr uint8_t kHeaders = 1;
constexpr uint8_t kSettings = 4;
constexpr uint8_t kPing = 6;
constexpr uint8_t kWindowUpdate = 8;
constexpr uint8_t kAck = 1;
constexpr uint8_t kEndStream = 1;
constexpr uint8_t kEndHeaders = 4;
constexpr size_t kMaxFrameBytes = 16384;

std::string big_endian(size_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i) & 0xff);
  return text;
}

std::string frame(uint8_t type, uint8_t flags, uint32_t stream_id, std::string_view payload) {
  std::string text = big_endian(payload.size(), 3);
  text += static_cast<char>(type);
  text += static_cast<char>(flags);
  return text.append(big_endian(stream_id, 4)).append(payload);
}

// HPACK literals that no table remembers, but for the status, which is in the static one.
std::string literal(std::string_view name, std::string_view value) {
  std::string text;
  text += '\0';
  text += static_cast<char>(name.size());
  text += name;
  text += static_cast<char>(value.size());
  text += value;
  return text;
}

class Connection {
 public:
  explicit Connection(const std::string& message) : message_(message) {}

  void feed(std::string_view bytes, std::string& out) {
    input_.append(bytes);
    if (!is_known_) {
      if (input_.size() < kPreface.size()) return;
      is_known_ = true;
      is_h2_ = input_.starts_with(kPreface);
      if (is_h2_) {
        input_.erase(0, kPreface.size());
        // Both windows wide open: no credit is asked of the client's frames one by one.
        out += frame(kSettings, 0, 0, std::string("\0\4", 2) + big_endian(1 << 30, 4));
        out += frame(kWindowUpdate, 0, 0, big_endian(1 << 30, 4));
      }
    }
    size_t read = 0;
    while (const size_t bytes_read = is_h2_ ? take_frame(std::string_view(input_).substr(read), out)
                                            : take_request(std::string_view(input_).substr(read), out)) {
      read += bytes_read;
    }
    input_.erase(0, read);
    if (is_h2_ && credit_ > (1U << 20)) {
      out += frame(kWindowUpdate, 0, 0, big_endian(credit_, 4));
      credit_ = 0;
    }
  }

 private:
  size_t take_frame(std::string_view input, std::string& out) {
    if (input.size() < kFrameHeadBytes) return 0;
    const auto byte = [&](size_t at) { return static_cast<uint8_t>(input[at]); };
    const size_t size = size_t{byte(0)} << 16 | size_t{byte(1)} << 8 | byte(2);
    if (input.size() < kFrameHeadBytes + size) return 0;
    const uint8_t type = byte(3);
    const uint8_t flags = byte(4);
    const uint32_t stream_id = uint32_t{byte(5)} << 24 | uint32_t{byte(6)} << 16 | uint32_t{byte(7)} << 8 | byte(8);
    if (type == kSettings && (flags & kAck) == 0) out += frame(kSettings, kAck, 0, {});
    if (type == kPing && (flags & kAck) == 0) out += frame(kPing, kAck, 0, input.substr(kFrameHeadBytes, size));
    if (type == kData) credit_ += size;
    if (type == kData && (flags & kEndStream) != 0) answer(stream_id, out);
    return kFrameHeadBytes + size;
  }

  void answer(uint32_t stream_id, std::string& out) const {
    static const std::string head = literal("content-type", "application/grpc").insert(0, 1, '\x88');
    static const std::string tail = literal("grpc-status", "0");
    out += frame(kHeaders, kEndHeaders, stream_id, head);
    std::string framed = big_endian(message_.size(), 5);
    framed += message_;
    for (size_t at = 0; at < framed.size(); at += kMaxFrameBytes) {
      out += frame(kData, 0, stream_id, std::string_view(framed).substr(at, kMaxFrameBytes));
    }
    out += frame(kHeaders, kEndHeaders | kEndStream, stream_id, tail);
  }

  size_t take_request(std::string_view input, std::string& out) const {
    const size_t end = input.find("\r\n\r\n");
    if (end == std::string_view::npos) return 0;
    constexpr std::string_view kLength = "\r\nContent-Length: ";
    size_t body = 0;
    if (const size_t at = input.find(kLength); at < end) {
      const char* const digits = input.data() + at + kLength.size();
      std::from_chars(digits, input.data() + end, body);
    }
    if (input.size() < end + 4 + body) return 0;
    out += "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(message_.size()) + "\r\n\r\n" + message_;
    return end + 4 + body;
  }

  const std::string& message_;
  std::string input_;
  bool is_known_ = false;
  bool is_h2_ = false;
  size_t credit_ = 0;
};

struct Peer {
  explicit Peer(const std::string& message) : connection(message) {}
  Connection connection;
  std::string out;
};

int listening() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener, generic, size) != 0 || ::listen(listener, SOMAXCONN) != 0) return -1;
  ::getsockname(listener, generic, &size);
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return listener;
}

void watch(int poll, int operation, int descriptor, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = descriptor;
  ::epoll_ctl(poll, operation, descriptor, &event);
}

// False once the connection is over.
bool serve(int poll, int descriptor, uint32_t events, Peer& peer) {
  static std::array<char, size_t{1} << 18> buffer;
  if ((events & ~static_cast<uint32_t>(EPOLLOUT)) != 0) {
    const ssize_t got = ::recv(descriptor, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) return false;
    if (got > 0) peer.connection.feed({buffer.data(), static_cast<size_t>(got)}, peer.out);
  }
  if (peer.out.empty()) return true;
  const ssize_t sent = ::send(descriptor, peer.out.data(), peer.out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return false;
  peer.out.erase(0, static_cast<size_t>(std::max<ssize_t>(sent, 0)));
  watch(poll, EPOLL_CTL_MOD, descriptor, peer.out.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return 2;
  std::ifstream file(arguments[1], std::ios::binary);
  const std::string message{std::istreambuf_iterator<char>(file), {}};
  const int listener = listening();
  const int poll = ::epoll_create1(EPOLL_CLOEXEC);
  if (listener < 0 || poll < 0) return 1;
  watch(poll, EPOLL_CTL_ADD, listener, EPOLLIN);
  std::map<int, Peer> peers;
  for (;;) {
    std::array<epoll_event, 64> events{};
    const int found = ::epoll_wait(poll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < found; ++i) {
      const int descriptor = events[static_cast<size_t>(i)].data.fd;
      if (descriptor == listener) {
        const int accepted = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        const int on = 1;
        ::setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        peers.try_emplace(accepted, message);
        watch(poll, EPOLL_CTL_ADD, accepted, EPOLLIN);
        continue;
      }
      const auto peer = peers.find(descriptor);
      if (serve(poll, descriptor, events[static_cast<size_t>(i)].events, peer->second)) continue;
      peers.erase(peer);
      ::close(descriptor);
    }
  }
}
