#include "ort/functions.h"

#include <cstddef>

namespace npuserve::ort {
namespace {

// All entries of the vendor's struct are pointers to functions.
using Entry = void (*)();

template <class Function>
void read(const void* api, size_t place, Function& function) {
  function = reinterpret_cast<Function>(static_cast<const Entry*>(api)[place]);
}

}  // namespace

FunctionTable::FunctionTable(const void* api) {
#define ORT_CALL(place, vendor, name, params) read(api, place, name);
#define ORT_PLAIN(place, vendor, name, ret, params) read(api, place, name);
#include "ort/functions.def"
#undef ORT_CALL
#undef ORT_PLAIN
}

}  // namespace npuserve::ort
