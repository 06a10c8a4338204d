#include "wire/call.h"

namespace npuserve::wire {
namespace {

constexpr size_t kMaxSpareCalls = 64;
constexpr size_t kMaxSpareMetadata = 64;

}  // namespace

Call& CallPool::open(int32_t stream_id) {
  std::unique_ptr<Call> call;
  if (spare_.empty()) {
    call = std::make_unique<Call>();
  } else {
    call = std::move(spare_.back());
    spare_.pop_back();
  }
  call->stream_id = stream_id;
  call->position = open_.size();
  open_.push_back(std::move(call));
  return *open_.back();
}

void CallPool::close(Call& call) {
  std::unique_ptr<Call> closed = std::move(open_[call.position]);
  if (closed->position + 1 < open_.size()) {
    open_[closed->position] = std::move(open_.back());
    open_[closed->position]->position = closed->position;
  }
  open_.pop_back();
  if (spare_.size() >= kMaxSpareCalls || closed->request.head().metadata.capacity() > kMaxSpareMetadata) return;
  RequestHead request = std::move(closed->request);
  request.reset();
  *closed = Call{};
  closed->request = std::move(request);
  spare_.push_back(std::move(closed));
}

}  // namespace npuserve::wire
