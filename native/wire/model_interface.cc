#include "wire/model_interface.h"

namespace npuserve::wire {

core::Shape carry_sizes(std::span<const int64_t> shape, const core::Shape& declared, const core::Shape& wanted) {
  const size_t batch = shape.size() - declared.size();
  core::Shape carried;
  carried.reserve(batch + wanted.size());
  carried.assign(shape.begin(), shape.begin() + static_cast<std::ptrdiff_t>(batch));
  size_t next = 0;
  for (const int64_t dim : wanted) {
    if (dim != -1) {
      carried.push_back(dim);
      continue;
    }
    while (declared[next] != -1) ++next;
    carried.push_back(shape[batch + next++]);
  }
  return carried;
}

}  // namespace npuserve::wire
